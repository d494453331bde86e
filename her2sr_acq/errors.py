"""Everything this package raises on purpose.

AcqError
├─ ConfigError             a configuration file is wrong; no hardware was touched
│  ├─ NoAccountError       no such user or token
│  └─ AccountConflictError a user of that name, a token above its user, the last admin
├─ PlanRejectedError       the request cannot be run; nothing was touched
├─ RunConflictError        the request is fine, but not in the present state
│  └─ LatchedError         nothing may start until a person looked at the microscope
├─ RunNotFoundError        no such run, field or image
├─ AccessError             whoever asks may not do this, or not now
│  ├─ LoginNeededError     it is not known who asks
│  ├─ ForbiddenError       not by the role of who asks, or the password is wrong
│  ├─ LeaseError           the order came without the lease that counts
│  ├─ LeaseHeldError       another client steers the microscope
│  └─ TooManyError         more was asked than is answered in a time
├─ ServiceUnavailableError the process that would answer does not
├─ InternalError           a process of the service made a mistake
├─ DeviceError             hardware said no, said something else, or said nothing
│  ├─ DeviceTimeoutError   a device did not answer in time
│  ├─ ReadBackError        a device reports another value than the one set
│  ├─ CameraStalledError   no frame came in time
│  ├─ BufferOverflowError  the camera's buffer ran over; frames are lost
│  ├─ InterlockError       an interlock is open or a laser reports a fault
│  ├─ ConditionError       a watched value is outside its range
│  ├─ FocusError           the focus was not found, or is not held
│  ├─ FilterWheelError     the filter of a burst is not proven in the light's path
│  └─ LightError           a laser is not proven off
├─ SelectionError          no fields were chosen; the run ends in the dark
├─ DoseError               a place would get more light than it may
├─ DeliveryError           a notice was not taken by its target; no run waits for it
├─ GuardError              the guard refused light, or does not answer
└─ StorageError            frames could not be written or do not verify
   └─ NewerDatabaseError   a database is of a newer program, and stays as it is
"""


class AcqError(Exception):
    """Base class: catch this to catch every expected failure."""

    code = "acq-error"
    """Stable identifier for clients and log searches; the wording may change."""

    def __init__(self, message: str, **context: object) -> None:
        super().__init__(message)
        self.context = context


class ConfigError(AcqError):
    """A configuration file is wrong; no hardware was touched."""

    code = "bad-config"


class NoAccountError(ConfigError):
    """No such user or token."""

    code = "not-found"


class AccountConflictError(ConfigError):
    """The change of users is fine, but not as the users stand."""

    code = "account-conflict"


class PlanRejectedError(AcqError):
    """The request cannot be run; nothing was touched."""

    code = "plan-rejected"


class RunConflictError(AcqError):
    """The request is fine, but not in the present state."""

    code = "run-conflict"


class LatchedError(RunConflictError):
    """Nothing may start until a person looked at the microscope."""

    code = "latched"


class RunNotFoundError(AcqError):
    """No such run, field or image."""

    code = "not-found"


class AccessError(AcqError):
    """Whoever asks may not do this, or not now."""

    code = "access"


class LoginNeededError(AccessError):
    """It is not known who asks."""

    code = "login-needed"


class ForbiddenError(AccessError):
    """Whoever asks may not do it by their role, or gave a wrong password."""

    code = "forbidden"


class LeaseError(AccessError):
    """The order came without the lease that counts."""

    code = "lease-needed"


class LeaseHeldError(AccessError):
    """Another client steers the microscope."""

    code = "lease-held"


class TooManyError(AccessError):
    """More was asked than is answered in a time."""

    code = "too-many-requests"


class ServiceUnavailableError(AcqError):
    """The process that would answer does not."""

    code = "service-unavailable"


class InternalError(AcqError):
    """A process of the service made a mistake; its log has the details."""

    code = "internal"


class DeviceError(AcqError):
    """Hardware said no, said something else, or said nothing."""

    code = "device-error"


class DeviceTimeoutError(DeviceError):
    """A device did not answer in time; its state is unknown."""

    code = "device-timeout"


class ReadBackError(DeviceError):
    """A device reports another value than the one set."""

    code = "read-back"


class CameraStalledError(DeviceError):
    """No frame came in time."""

    code = "camera-stalled"


class BufferOverflowError(DeviceError):
    """The camera's buffer ran over; frames are lost."""

    code = "buffer-overflow"


class InterlockError(DeviceError):
    """An interlock is open or a laser reports a fault. Latches until rearmed."""

    code = "interlock"


class ConditionError(DeviceError):
    """A watched value, such as a temperature, is outside its range."""

    code = "condition"


class FocusError(DeviceError):
    """The focus was not found, or is not held; nothing was lit for a burst."""

    code = "focus"


class FilterWheelError(DeviceError):
    """The filter of a burst is not proven in the light's path."""

    code = "filter-wheel"


class LightError(DeviceError):
    """A laser is not proven off. Latches: nothing starts until a person looked."""

    code = "light-not-off"


class DoseError(AcqError):
    """A place would get more light than it may; nothing was lit."""

    code = "dose"


class SelectionError(AcqError):
    """No fields were chosen, by nobody or by no rule; the run ends in the dark."""

    code = "no-selection"


class GuardError(AcqError):
    """The guard refused light, or does not answer. Nothing is lit without it."""

    code = "guard"


class StorageError(AcqError):
    """Frames could not be written or do not verify."""

    code = "storage"


class NewerDatabaseError(StorageError):
    """A database is of a newer program, and stays as it is."""

    code = "newer-database"


class DeliveryError(AcqError):
    """A notice was not taken by its target; no run waits for it."""

    code = "delivery"

    def __init__(self, message: str, *, may_pass: bool) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        """Whether it is worth sending again."""
