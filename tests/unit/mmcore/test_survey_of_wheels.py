"""What is told of a filter wheel when not all of the microscope can be opened."""


def seen(bench, role):
    """Return what the survey says of a role, and its cure."""
    found = [one for one in bench.survey() if one.subject == role]
    assert len(found) == 1
    return found[0]


def test_positions_have_the_names_of_the_cfg(bench):
    assert seen(bench, "filter wheel").cure == ""


def test_the_wrong_label_is_named_and_no_other(bench):
    bench.data["filter_wheel"]["lines"][488] = "525/99"
    told = seen(bench, "filter wheel").detail
    assert "no position '525/99'" in told
    assert "447/60, 525/50, 600/52" in told


def test_a_position_that_there_is_not_is_told_of_its_device(bench):
    bench.replace("Label,Emission,1,", "Label,Emission,one,")
    assert "position one" in seen(bench, "device Emission").detail


def test_a_device_that_the_cfg_does_not_declare_is_told_with_those_it_does(bench):
    bench.data["filter_wheel"]["label"] = "Wheel2"
    found = seen(bench, "filter wheel")
    assert "declares no device 'Wheel2'" in found.detail
    assert "Emission" in found.cure
