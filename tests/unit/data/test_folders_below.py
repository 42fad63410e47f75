"""Folders below a data set's root, however many links lead to them."""

from mesoscope.data.layouts.folders import walk_folders


def test_links_that_fan_out_lead_to_each_folder_once(tmp_path):
    for n in range(26):
        (tmp_path / f"{n:02d}").mkdir()
        for way in "ab":
            (tmp_path / f"{n:02d}" / way).symlink_to(tmp_path / f"{n + 1:02d}")
    (tmp_path / "26").mkdir()
    found = [relative for relative, _ in walk_folders(tmp_path / "00")]
    assert found == ["/".join("a" * n) for n in range(27)]
