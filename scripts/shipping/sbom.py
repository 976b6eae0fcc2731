"""The bill of materials (CycloneDX 1.6) of a folder of wheels: what is in it, under which licence, who needs whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from shipping.wheel_metadata import Wheel

_VERSION = SchemaVersion.V1_6


class NotValid(Exception):
    """The bill of materials is not what its schema asks for."""


def bill_of_materials(
    root: str, wheels: Sequence[Wheel], environment: Mapping[str, str], extras: frozenset[str], epoch: int
) -> str:
    """The bill of the wheel named `root` and all others, as JSON: the same for the same wheels. Raises NotValid."""
    there = {wheel.name: wheel for wheel in wheels}
    components = {name: _component(wheel, is_root=name == root) for name, wheel in there.items()}
    bom = Bom(components=[component for name, component in components.items() if name != root])
    bom.metadata.component = components[root]
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    bom.serial_number = uuid5(NAMESPACE_URL, " ".join(sorted(wheel.sha256 for wheel in wheels)))
    for name, wheel in there.items():
        needed = wheel.needs(there, environment, extras if name == root else frozenset())
        bom.register_dependency(components[name], [components[other] for other in needed])
    text = make_outputter(bom, OutputFormat.JSON, _VERSION).output_as_string(indent=2)
    failure = JsonStrictValidator(_VERSION).validate_str(text)
    if failure is not None:
        raise NotValid(str(failure))
    return text + "\n"


def _component(wheel: Wheel, *, is_root: bool) -> Component:
    link = ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(wheel.homepage))
    return Component(
        name=wheel.name,
        version=wheel.version,
        type=ComponentType.APPLICATION if is_root else ComponentType.LIBRARY,
        bom_ref=f"{wheel.name}@{wheel.version}",
        purl=PackageURL("pypi", name=wheel.name, version=wheel.version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel.sha256)],
        licenses=[LicenseFactory().make_from_string(wheel.licence)],
        external_references=[link] if wheel.homepage else [],
    )
