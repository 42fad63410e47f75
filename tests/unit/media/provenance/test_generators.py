"""What programs for generative AI write, in the manner of each."""

import json
import zlib

import pytest

SETTINGS = "a castle\nNegative prompt: people\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
GRAPH = json.dumps(
    {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dream.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": 'a "tall" castle'}},
    }
)  # fmt: skip


def png(made, **texts):
    chunks = [
        made.chunk(b"tEXt", key.replace("__", " ").encode() + b"\0" + value.encode())
        for key, value in texts.items()
    ]
    return made.with_chunks(made.encode("PNG"), *chunks)


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        ({"parameters": SETTINGS}, "a Stable Diffusion web interface"),
        ({"prompt": GRAPH}, "ComfyUI"),
        ({"workflow": '{"nodes": [], "links": []}'}, "ComfyUI"),
        ({"invokeai_metadata": '{"positive_prompt": "a castle"}'}, "InvokeAI"),
        ({"sd-metadata": '{"image": {"prompt": "a castle"}}'}, "InvokeAI"),
        ({"Dream": '"a castle" -s 50'}, "InvokeAI"),
        ({"fooocus_scheme": "fooocus", "parameters": '{"prompt": "a castle"}'}, "Fooocus"),
        ({"parameters": '{"sui_image_params": {"prompt": "a castle"}}'}, "SwarmUI"),
        ({"prompt": "a castle", "seed": "1", "negative_prompt": ""}, "Easy Diffusion"),
        (
            {"Description": "a castle --v 6 Job ID: 01234567-89ab-cdef-0123-456789abcdef"},
            "Midjourney",
        ),
    ],
)
def test_settings_in_png_texts(made, told, texts, name):
    found = told(png(made, **texts), "generator")
    assert {(f.where, f.weight) for f in found} == {("PNG text", "strong")}
    assert any(f"written by {name}" in f.meaning for f in found)


def test_novelai_is_told_by_its_software(made, told):
    texts = {
        "Title": "NovelAI generated image", "Description": "a castle", "Software": "NovelAI",
        "Source": "NovelAI Diffusion V4", "Comment": '{"steps": 28}',
    }  # fmt: skip
    found = {f.field: f for f in told(png(made, **texts), "generator")}
    assert found.keys() == texts.keys()
    assert found["Description"].value == "a castle"
    assert "written by NovelAI" in found["Description"].meaning


def test_a_graph_is_told_in_short(made, told):
    (found,) = told(png(made, prompt=GRAPH), "generator")
    assert found.value == 'model dream.safetensors; text "a \\"tall\\" castle"; 2 nodes'


def test_unknown_parameters_are_a_hint(made, told):
    (found,) = told(png(made, parameters="brightness 3"), "generator")
    assert found.weight == "hint"


@pytest.mark.parametrize(
    "texts",
    [
        {"Software": "matplotlib version 3.9"},
        {"Description": "Steps: to the castle"},
        {"Comment": "a castle at noon", "Title": "Castle"},
        {"prompt": "press any key"},
    ],
)
def test_everyday_texts_name_no_generator(made, told, texts):
    assert told(png(made, **texts), "generator") == []


def test_free_texts_are_notes_and_few(made, told):
    found = told(png(made, **{f"Title{n}": f"text {n}" for n in range(9)}), "metadata")
    assert [f.value for f in found] == [f"text {n}" for n in range(5)]
    assert {f.weight for f in found} == {"note"}


def test_compressed_and_international_texts(made, told):
    packed = zlib.compress(SETTINGS.encode())
    for body in (
        b"zTXt", b"parameters\0\0" + packed,
        b"iTXt", b"parameters\0\1\0en\0Parameter\0" + packed,
        b"iTXt", b"parameters\0\0\0\0\0" + SETTINGS.encode(),
    )[1::2]:  # fmt: skip
        name = b"zTXt" if body.startswith(b"parameters\0\0x") else b"iTXt"
        data = made.with_chunks(made.encode("PNG"), made.chunk(name, body))
        (found,) = told(data, "generator")
        assert found.value.startswith("a castle")


def test_a_text_that_unpacks_to_gigabytes_is_cut(made, told):
    bomb = zlib.compress(b"parameters " * 20_000_000)  # 220 MB in 215 kB
    data = made.with_chunks(made.encode("PNG"), made.chunk(b"zTXt", b"parameters\0\0" + bomb))
    (found,) = told(data, "generator")
    assert len(found.value) <= 400


def test_exif_in_a_png(made, told):
    exif = made.with_exif({0x0131: "Midjourney"})
    start = exif.index(b"Exif\0\0") + 6
    length = int.from_bytes(exif[start - 8 : start - 6], "big") - 8
    block = exif[start : start + length]
    profile = b"\nexif\n%8d\n" % (len(block) + 6) + (b"Exif\0\0" + block).hex().encode() + b"\n"
    for chunk in (
        made.chunk(b"eXIf", block),
        made.chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)),
    ):
        (found,) = told(made.with_chunks(made.encode("PNG"), chunk), "generator")
        assert (found.where, found.value) == ("EXIF", "Midjourney")


def test_damaged_chunks_are_said(made, told):
    bad_sum = bytearray(png(made, parameters=SETTINGS))
    bad_sum[bad_sum.index(b"castle")] ^= 1
    (found,) = told(bytes(bad_sum), "damaged")
    assert "checksum" in found.value
    (found,) = told(
        made.with_chunks(made.encode("PNG"), made.chunk(b"zTXt", b"parameters\0\0no zlib")),
        "damaged",
    )
    assert "unpacked" in found.value
    (found,) = told(png(made, parameters=SETTINGS)[:-20], "damaged")
    assert "ends before" in found.value


def test_texts_of_other_containers(made, told):
    gif = made.encode("GIF", comment=b"Made by Midjourney")
    assert [f.field for f in told(gif) if f.kind == "damaged"] == []
    exif = b"II*\0\x08\0\0\0\x01\0\x31\x01\x02\0\x0b\0\0\0\x1a\0\0\0\0\0\0\0Midjourney\0"
    webp = made.encode("WEBP", exif=exif)
    (found,) = told(webp, "generator")
    assert (found.where, found.value) == ("EXIF", "Midjourney")
