"""EXIF, XMP, IPTC and Photoshop's resources: what is read, and what is made of it."""

import struct

import pytest

MAKE, MODEL, SOFTWARE, EXPOSURE, WIDTH, HEIGHT = 0x010F, 0x0110, 0x0131, 0x829A, 0xA002, 0xA003
COMMENT = 0x9286
CAMERA = {MAKE: "Canon", MODEL: "Canon EOS 5D"}
SETTINGS = "a castle\nNegative prompt: people\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"


def only(findings):
    (found,) = findings
    return found


# --- EXIF


def test_a_camera_is_named_without_its_maker_twice(made, told):
    data = made.with_exif(CAMERA, {EXPOSURE: 0.01})
    found = only(told(data, "camera"))
    assert (found.value, found.weight, found.where) == ("Canon EOS 5D", "note", "EXIF")
    assert "anyone can write it" in found.meaning


def test_a_camera_without_exposure_is_odd(made, told):
    exposure, name = told(made.with_exif({MAKE: "NIKON", MODEL: "D5"}), "camera")
    assert name.value == "NIKON D5"
    assert (exposure.field, exposure.weight) == ("exposure", "hint")


@pytest.mark.parametrize(
    ("software", "kind", "weight"),
    [
        ("Adobe Photoshop 24.0 (Macintosh)", "software", "hint"),
        ("Adobe Photoshop Lightroom Classic 12.0", "software", "note"),
        ("GIMP 2.10.34", "software", "hint"),
        ("FaceApp 5.1", "software", "strong"),
        ("Midjourney", "generator", "strong"),
        ("ComfyUI", "generator", "strong"),
        ("Lavf60.3.100", "software", "note"),
        ("17.1.2", "software", "note"),
        ("G991BXXU5CVDD", "software", "note"),
    ],
)
def test_software_by_what_it_is_for(made, told, software, kind, weight):
    found = only(told(made.with_exif({SOFTWARE: software}), field="Software"))
    assert (found.kind, found.value, found.weight) == (kind, software, weight)


def test_an_unknown_program_is_called_unknown(made, told):
    found = only(told(made.with_exif({SOFTWARE: "Snowglobe"}), field="Software"))
    assert "not among those known here" in found.meaning


def test_another_size_than_exif_tells(made, told):
    data = made.with_exif({}, {WIDTH: 4000, HEIGHT: 3000})
    found = only(told(data, "encoding", "PixelXDimension, PixelYDimension"))
    assert found.value == "4000×3000, the picture is 64×48"
    assert found.weight == "hint"


@pytest.mark.parametrize("turned", [False, True])
def test_the_size_that_exif_tells(made, told, turned):
    size = (48, 64) if turned else (64, 48)
    data = made.with_exif({}, {WIDTH: size[0], HEIGHT: size[1]})
    assert told(data, "encoding", "PixelXDimension, PixelYDimension") == []


def test_a_place_is_mentioned_and_its_coordinates_only_when_asked(made, told):
    gps = {1: "S", 2: (33.0, 51.0, 36.0), 3: "E", 4: (151.0, 12.0, 0.0)}
    data = made.with_exif(gps=gps)
    found = only(told(data, "place"))
    assert found.value == "present, not shown"
    assert only(told(data, "place", place=True)).value == "-33.86000, 151.20000"


def test_a_place_in_xmp(made, told):
    data = made.with_xmp(attributes='exif:GPSLatitude="33,51.6S" exif:GPSLongitude="151,12E"')
    assert only(told(data, "place")).value == "present, not shown"
    assert only(told(data, "place", place=True)).value == "33,51.6S, 151,12E"


def test_a_caption_is_a_free_text(made, told):
    found = only(told(made.with_exif({0x010E: "At the castle"}), "metadata"))
    assert (found.field, found.value, found.weight) == ("ImageDescription", "At the castle", "note")


def test_the_same_said_twice_is_said_once(made, told):
    attributes = 'xmp:CreatorTool="GIMP 2.10" tiff:Software="GIMP 2.10"'
    assert only(told(made.with_xmp(attributes=attributes), "software")).field == "xmp:CreatorTool"


def test_an_apple_screen_shot(made, told):
    data = made.with_exif({}, {COMMENT: b"ASCII\0\0\0Screenshot"})
    assert only(told(data, field="UserComment")).kind == "metadata"


@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + SETTINGS.encode("utf-16-be"),
        b"UNICODE\0" + SETTINGS.encode("utf-16-le"),
        b"ASCII\0\0\0" + SETTINGS.encode(),
        bytes(8) + SETTINGS.encode(),
        SETTINGS.encode(),
    ],
)
def test_generator_settings_in_the_users_comment(made, told, comment):
    found = only(told(made.with_exif({}, {COMMENT: comment}), "generator"))
    assert (found.where, found.field, found.weight) == ("EXIF", "UserComment", "strong")
    assert found.value.startswith("a castle Negative prompt")
    assert "Stable Diffusion web interface" in found.meaning


def test_comfyui_writes_its_graph_where_cameras_write_their_name(made, told):
    graph = 'prompt:{"3": {"class_type": "KSampler", "inputs": {}}}' + " " * 50
    data = made.with_exif({MODEL: graph})
    assert told(data, "camera") == []
    assert only(told(data, "generator")).value == "1 nodes"


def test_damaged_exif_is_said(made, told):
    body = b"Exif\0\0MM\0\x2a\0\0\0\x08\x03\xff" + bytes(8)
    found = only(told(made.insert(made.encode(), made.segment(0xE1, body)), "damaged"))
    assert (found.where, found.weight) == ("EXIF", "hint")
    assert "longer than what is there" in found.value


def test_a_tag_beyond_the_end_leaves_the_others(made, told):
    entries = struct.pack(">HHII", MAKE, 2, 400, 9999) + struct.pack(
        ">HHI4s", MODEL, 2, 4, b"D5\0\0"
    )
    body = b"Exif\0\0MM\0\x2a\0\0\0\x08" + struct.pack(">H", 2) + entries + bytes(4)
    data = made.insert(made.encode(), made.segment(0xE1, body))
    assert told(data, "camera", "Make, Model")[0].value == "D5"
    assert "0x010f" in only(told(data, "damaged")).value


# --- XMP


HISTORY = (
    "<xmpMM:History><rdf:Seq>"
    '<rdf:li stEvt:action="created" stEvt:when="2023-01-01T10:00:00Z"'
    ' stEvt:softwareAgent="Adobe Photoshop 24.0"/>'
    '<rdf:li rdf:parseType="Resource"><stEvt:action>saved</stEvt:action>'
    "<stEvt:when>2023-01-02T10:00:00Z</stEvt:when></rdf:li>"
    '<rdf:li><rdf:Description stEvt:action="saved"/></rdf:li>'
    "</rdf:Seq></xmpMM:History>"
)


ANCESTORS = (
    "<photoshop:DocumentAncestors><rdf:Bag><rdf:li>a</rdf:li><rdf:li>b</rdf:li></rdf:Bag>"
    "</photoshop:DocumentAncestors>"
)
LAYERS = (
    "<photoshop:TextLayers><rdf:Bag><rdf:li photoshop:LayerName='n' photoshop:LayerText='Sold'/>"
    "</rdf:Bag></photoshop:TextLayers>"
)


def test_photoshops_history(made, told):
    found = only(told(made.with_xmp(HISTORY), "history"))
    assert (found.field, found.weight, found.where) == ("xmpMM:History", "hint", "XMP")
    assert found.value == (
        "3 steps: 1 × created, 2 × saved; 2023-01-01T10:00:00Z to 2023-01-02T10:00:00Z; "
        "by Adobe Photoshop 24.0"
    )


@pytest.mark.parametrize(
    ("body", "attributes", "field", "value"),
    [
        ("", 'photoshop:History="Crop, Paste"', "photoshop:History", "Crop, Paste"),
        (
            ANCESTORS, "", "photoshop:DocumentAncestors, xmpMM:Ingredients", "2 other documents",
        ),
        (
            LAYERS, "", "photoshop:TextLayers", '"Sold"',
        ),
        (
            "<xmpMM:DerivedFrom stRef:documentID='x'/>", "xmpMM:OriginalDocumentID='o'",
            "xmpMM:DerivedFrom", "o",
        ),
        ("", 'crs:HasCrop="True"', "crs", "cropped"),
        (
            "<crs:RetouchAreas><rdf:Seq><rdf:li crs:a='1'/></rdf:Seq></crs:RetouchAreas>", "",
            "crs", "places healed or cloned",
        ),
    ],
)  # fmt: skip
def test_origins_and_edits_in_xmp(made, told, body, attributes, field, value):
    found = only(told(made.with_xmp(body, attributes), "history"))
    assert (found.field, found.value) == (field, value)


@pytest.mark.parametrize(
    ("code", "value", "weight"),
    [
        ("http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
         "trainedAlgorithmicMedia", "strong"),
        ("http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
         "compositeWithTrainedAlgorithmicMedia", "strong"),
        ("https://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture/", "digitalCapture",
         "note"),
        ("digsrctype:HUMANEDITS", "humanEdits", "hint"),
        ("http://example.org/somethingElse", "http://example.org/somethingElse", "hint"),
    ],
)  # fmt: skip
def test_the_digital_source_type(made, told, code, value, weight):
    body = f"<Iptc4xmpExt:DigitalSourceType>{code}</Iptc4xmpExt:DigitalSourceType>"
    attribute = f'Iptc4xmpExt:DigitalSourceType="{code}"'
    resource = f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{code}"/>'
    for xmp in ((body, ""), ("", attribute), (resource, "")):
        found = only(told(made.with_xmp(*xmp), "source_type"))
        assert (found.value, found.weight) == (value, weight)


def test_iptcs_fields_for_generative_ai(made, told):
    attributes = 'Iptc4xmpExt:AISystemUsed="Some model" Iptc4xmpExt:AIPromptWriterName="Jane Doe"'
    found = only(told(made.with_xmp(attributes=attributes), "generator"))
    assert (found.value, found.weight) == ("Some model", "strong")


@pytest.mark.parametrize(
    ("credit", "count"), [("Made with Google AI", 1), ("Jane Doe / Agency", 0)]
)
def test_a_credit_line_that_names_a_generator(made, told, credit, count):
    found = told(made.with_xmp(attributes=f'photoshop:Credit="{credit}"'), "generator")
    assert [f.value for f in found] == [credit] * count


def test_metadata_written_by_a_metadata_editor(made, told):
    found = only(told(made.with_xmp(toolkit="Image::ExifTool 12.40"), "software"))
    assert (found.field, found.weight) == ("x:xmptk", "hint")


def test_programs_in_xmp(made, told):
    found = only(told(made.with_xmp(attributes='xmp:CreatorTool="Adobe Firefly"'), "generator"))
    assert (found.field, found.value) == ("xmp:CreatorTool", "Adobe Firefly")


def test_extended_xmp_is_put_together(made, told):
    whole = made.packet(HISTORY)
    digest = b"0123456789ABCDEF0123456789ABCDEF"
    start = b"http://ns.adobe.com/xmp/extension/\0" + digest
    half = len(whole) // 2
    pieces = [
        made.segment(0xE1, start + struct.pack(">II", len(whole), at) + whole[at : at + half + 1])
        for at in (half, 0)
    ]
    pieces[1] = made.segment(0xE1, start + struct.pack(">II", len(whole), 0) + whole[:half])
    found = only(told(made.insert(made.encode(), *pieces), "history"))
    assert found.value.startswith("3 steps")
    found = only(told(made.insert(made.encode(), pieces[0]), "damaged"))
    assert "missing" in found.value


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;">]><x>&c;</x>"""
OUTSIDE = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'


@pytest.mark.parametrize("bad", [BOMB, OUTSIDE])
def test_an_xml_bomb_is_refused(made, told, bad):
    data = made.insert(made.encode(), made.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + bad))
    found = only(told(data, "damaged"))
    assert (found.where, found.field) == ("XMP", "packet")
    assert "entity" in found.value


def test_xmp_that_nests_without_end(made, told):
    deep = b"<a>" * 5000
    data = made.with_chunks(
        made.encode("PNG"), made.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + deep)
    )
    assert "deeper" in only(told(data, "damaged")).value


def test_what_stands_before_the_damage_in_xmp_is_kept(made, told):
    whole = made.packet(attributes='xmp:CreatorTool="Midjourney"')
    cut = whole[: whole.rindex(b"</rdf:RDF>")]
    data = made.insert(made.encode(), made.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + cut))
    assert only(told(data, "generator")).value == "Midjourney"
    assert only(told(data, "damaged")).where == "XMP"


# --- IPTC and Photoshop


def record(number, value, group=2):
    return struct.pack(">BBBH", 0x1C, group, number, len(value)) + value


def resource(number, body):
    padded = body + b"\0" * (len(body) & 1)
    return b"8BIM" + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(body)) + padded


def with_resources(made, *resources):
    body = b"Photoshop 3.0\0" + b"".join(resources)
    return made.insert(made.encode(), made.segment(0xED, body))


def test_iptc_names_the_program(made, told):
    records = record(65, b"Adobe Photoshop") + record(70, b"7.0")
    found = only(told(with_resources(made, resource(0x0404, records)), "software"))
    assert (found.where, found.value) == ("IPTC", "Adobe Photoshop 7.0")


def test_iptcs_credit_in_utf8(made, told):
    records = record(90, b"\x1b%G", group=1) + record(110, "Bild: OpenAI, Zürich".encode())
    found = only(told(with_resources(made, resource(0x0404, records)), "generator"))
    assert found.value == "Bild: OpenAI, Zürich"


def test_facebooks_mark(made, told):
    records = record(40, b"FBMD01000a9c0d0000")
    found = only(told(with_resources(made, resource(0x0404, records)), "metadata"))
    assert "Instagram" in found.meaning


def test_photoshops_quality_and_name(made, told):
    name = "Adobe Photoshop".encode("utf-16-be")
    version = struct.pack(">IBI", 1, 1, len(name) // 2) + name
    data = with_resources(made, resource(0x0421, version), resource(0x0406, b"\0\x06\0\0\0\0\0"))
    values = {f.field: f.value for f in told(data, "software")}
    assert values == {"Version Info": "Adobe Photoshop", "JPEG Quality": "10 of 12"}


@pytest.mark.parametrize("resources", [b"8BIM\x04\x04\0\0\0\0\xff\xff", b"nonsense of some length"])
def test_damaged_resources_are_said(made, told, resources):
    found = only(told(with_resources(made, resources), "damaged"))
    assert found.where == "Photoshop resources"


def test_damaged_iptc_is_said(made, told):
    data = with_resources(made, resource(0x0404, record(65, b"Word") + b"\x1c\x02\x41\x40\0"))
    assert only(told(data, "damaged")).where == "IPTC"
    assert only(told(data, "software")).value == "Word"


def test_a_file_without_metadata_says_nothing(made, told):
    found = only(told(made.encode(), "metadata"))
    assert found.value == "none"
    assert "neither for nor against" in found.meaning
