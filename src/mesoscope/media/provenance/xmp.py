"""XMP packets (ISO 16684-1): RDF in XML, parsed without entities and within bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

Value = str | list["Value"] | dict[str, "Value"]

_PREFIXES = {
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf",
    "http://www.w3.org/XML/1998/namespace": "xml",
    "adobe:ns:meta/": "x",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#": "stEvt",
    "http://ns.adobe.com/xap/1.0/sType/ResourceRef#": "stRef",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/camera-raw-settings/1.0/": "crs",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/terms/": "dcterms",
    "http://ns.google.com/photos/1.0/camera/": "GCamera",
    "http://ns.google.com/photos/1.0/depthmap/": "GDepth",
    "http://ns.google.com/photos/1.0/container/": "Container",
    "http://ns.google.com/photos/1.0/container/item/": "Item",
    "http://ns.google.com/photos/dd/1.0/device/": "Device",
    "http://ns.adobe.com/hdr-gain-map/1.0/": "hdrgm",
    "http://ns.apple.com/HDRGainMap/1.0/": "HDRGainMap",
}
_LARGEST = 16 << 20
_MOST_NODES = 50_000
_DEEPEST = 48


@dataclass(slots=True)
class Xmp:
    """Properties of a packet by name, such as ``xmp:CreatorTool``.

    Attributes:
        properties: Values: a text, a list, or a structure.
        toolkit: Library that wrote the packet; empty if unknown.
        fault: Reason why the packet could not be read completely; ``None`` without an error.
    """

    properties: dict[str, Value] = field(default_factory=dict)
    toolkit: str = ""
    fault: str | None = None

    def text(self, name: str) -> str:
        """Return a property as text: the first of a list, empty for a structure."""
        value = self.properties.get(name, "")
        while isinstance(value, list):
            value = value[0] if value else ""
        return value.strip() if isinstance(value, str) else ""

    def items(self, name: str) -> list[Value]:
        """Return a property as a list."""
        value = self.properties.get(name)
        if value is None:
            return []
        return value if isinstance(value, list) else [value]


@dataclass(slots=True)
class _Node:
    name: str
    attributes: dict[str, str]
    children: list[_Node] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Text of the node, also between its children."""
        return "".join(self.pieces)


class _RefusedError(Exception):
    """The packet has forbidden content, or is too large."""


def read_xmp(data: bytes) -> Xmp:
    """Read a packet; an error is stored in ``fault``.

    Entity declarations, which enable XML bombs, are refused, as XMP has none.
    """
    top = _Node("", {})
    fault = None
    try:
        _parse(data[:_LARGEST].strip(b"\0 \t\r\n"), top)
    except (expat.ExpatError, _RefusedError, ValueError, LookupError) as error:
        fault = " ".join(str(error).split())  # earlier properties are kept
    xmp = Xmp(fault=fault)
    for node in _all(top):
        xmp.toolkit = xmp.toolkit or node.attributes.get("x:xmptk", "")
        if node.name == "rdf:RDF":
            for about in node.children:
                xmp.properties.update(_structure(about))
    if fault is None and not xmp.properties and not xmp.toolkit:
        xmp.fault = "it holds no properties"
    return xmp


def _parse(data: bytes, top: _Node) -> None:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.buffer_text, parser.buffer_size = True, 1 << 20  # texts can be large depth maps
    open_nodes = [top]
    left = _MOST_NODES

    def refuse(*_: object) -> int:
        raise _RefusedError("it declares a document type or an entity, which XMP must not")

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal left
        left -= 1
        if left < 0 or len(open_nodes) > _DEEPEST:
            raise _RefusedError("it is larger or deeper than is read here")
        node = _Node(_short(name), {_short(k): v for k, v in attributes.items()})
        open_nodes[-1].children.append(node)
        open_nodes.append(node)

    def end(_: str) -> None:
        open_nodes.pop()

    def text(content: str) -> None:
        open_nodes[-1].pieces.append(content)

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    parser.Parse(data, True)


def _short(name: str) -> str:
    """Convert ``namespace local`` to ``prefix:local``; an unknown namespace becomes ``?``."""
    space, _, local = name.rpartition(" ")
    return f"{_PREFIXES.get(space, '?')}:{local}" if space else local


def _all(top: _Node) -> list[_Node]:
    found = [top]
    for node in found:  # the list grows during the loop
        found += node.children
    return found


def _structure(node: _Node) -> dict[str, Value]:
    """Return the attributes and children of a description as properties."""
    plain = {k: v for k, v in node.attributes.items() if not k.startswith(("rdf:", "x:", "xml:"))}
    inner: dict[str, Value] = {child.name: _value(child) for child in node.children}
    return {**plain, **inner}


def _value(node: _Node) -> Value:
    children = node.children
    if len(children) == 1 and children[0].name in ("rdf:Seq", "rdf:Bag", "rdf:Alt"):
        return [_value(item) for item in children[0].children]
    if len(children) == 1 and children[0].name == "rdf:Description":
        return _structure(children[0])
    if "rdf:resource" in node.attributes:
        return node.attributes["rdf:resource"]
    return _structure(node) or node.text.strip()
