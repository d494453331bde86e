"""The localizer's process: blocks from the bus to tables, units closed on request."""

import os

# Arrow's own allocator keeps pages for each thread that makes a table, more of them
# with every unit; tables lie in the one heap instead (decision 23). Arrow reads the
# word once, when it is first imported, so it is said before any module does that.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
