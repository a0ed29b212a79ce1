"""The schema of OME-XML from 2016-06, out of the jar of Bio-Formats: no network."""

import zipfile
from functools import cache

from lxml import etree

from readers.with_bioformats import JARS, find_jar

FOLDER = "released-schema/"


class _FromJar(etree.Resolver):
    def __init__(self, jar):
        super().__init__()
        self._jar = jar

    def resolve(self, url, public_id, context):
        name = "external/xml.xsd" if url.endswith("xml.xsd") else url
        return self.resolve_string(self._jar.read(FOLDER + name), context)


@cache
def schema():
    """The compiled schema, or None where no jar is installed."""
    path = next(filter(None, map(find_jar, JARS.values())), None)
    if path is None:
        return None
    with zipfile.ZipFile(path) as jar:
        parser = etree.XMLParser(no_network=True)
        parser.resolvers.add(_FromJar(jar))
        return etree.XMLSchema(etree.fromstring(jar.read(f"{FOLDER}2016-06/ome.xsd"), parser))


def complaints(xml):
    """What the schema has against a document; an empty list for a valid one."""
    schema().validate(etree.fromstring(xml.encode()))
    return [f"line {error.line}: {error.message}" for error in schema().error_log]
