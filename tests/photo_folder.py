"""A folder to scan: pictures of the names given, a clip, a broken and an empty file, and text."""

from PIL import Image


def write_photos(root, names, make_face, make_clip):
    """Write the folder, and return it."""
    (root / "sub").mkdir(parents=True)
    for n, name in enumerate(names):
        Image.fromarray(make_face(n, 96)).save(root / name)
    make_clip([make_face(n, 96) for n in range(5)]).rename(root / "clip.mp4")
    (root / "broken.jpg").write_bytes(b"nothing")
    (root / "empty.png").touch()
    (root / "notes.txt").write_text("no picture")
    return root
