"""The proofs that a verification has made, in files beside its page.

While a run goes on, they are in <name>-partial.json, from which an interrupted run goes on. Afterwards they are in
<name>-proofs.json: a later run need only verify the networks whose code or recipes have changed since.
"""

import dataclasses
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kerasnets.proof.digest import digest
from kerasnets.proof.verdict import Proof
from kerasnets.runtime import provenance
from kerasnets.runtime.atomic import whole_file

PACKAGES = (*provenance.MEASURED, "torchvision")


@dataclass(frozen=True, kw_only=True)
class KeptProof(Proof):
    """A proof of an earlier run, or of before it was interrupted, perhaps with faults."""

    code: str  # the digest of the network's code
    commit: str  # "" outside a checkout


def path_of(out: str | Path) -> Path:
    """Return the path of the file of a run that writes the page `out`."""
    return Path(out).with_name(f"{Path(out).stem}-partial.json")


def kept_path_of(path: Path) -> Path:
    """Return the path of the file after a run, from that of the file during it."""
    return path.with_name(f"{path.stem.removesuffix('-partial')}-proofs.json")


@dataclass(frozen=True)
class Partial:
    """Proofs, and the seconds that an interrupted run took for its own."""

    proofs: Sequence[Proof] = ()
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Write the proofs, and keep those of other networks. OSError if that fails."""
        write(path, newest([*read(path)[0], *map(kept, self.proofs)]), self.seconds)

    @classmethod
    def load(cls, path: Path, networks: Sequence[str] | None = None) -> "Partial":
        """Return the proofs in `path` and in the file of the last run that hold, or those of `networks`.

        A network whose newest proof has a fault has none.
        """
        proofs, seconds = read(path)
        found = [proof for proof in newest([*read(kept_path_of(path))[0], *proofs]) if not proof.faults]
        return cls([proof for proof in found if networks is None or proof.network in networks], seconds)


def finish(out: str | Path) -> None:
    """Move the proofs of a run that is over to the file that is kept. OSError if that fails."""
    path = path_of(out)
    if path.exists():
        write(kept_path_of(path), newest([*read(kept_path_of(path))[0], *read(path)[0]]), 0.0)
        path.unlink()


def newest(proofs: Sequence[KeptProof]) -> list[KeptProof]:
    """Return the last proof of each network."""
    return list({proof.network: proof for proof in proofs}.values())


def kept(proof: Proof) -> KeptProof:
    """Return the proof with the code and the commit that it is of: of now, unless it knows them."""
    if isinstance(proof, KeptProof):
        return proof
    return KeptProof(**vars(proof), code=digest(network=proof.network), commit=provenance.commit())


def read(path: Path) -> tuple[list[KeptProof], float]:
    """Return the proofs in `path` that hold, and the seconds: none if `of` has changed, or it is no such file."""
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["of"] != of():
            return [], 0.0
        proofs = [KeptProof(**{**each, "input_shape": tuple(each["input_shape"])}) for each in content["proofs"]]
        hold = [proof for proof in proofs if proof.code == digest(network=proof.network)]
        for proof in hold:
            proof.as_dict()  # raises if it is damaged
        return hold, float(content["seconds"]) if hold else 0.0
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [], 0.0


def write(path: Path, proofs: Sequence[Proof], seconds: float) -> None:
    content = {"of": of(), "seconds": seconds, "proofs": [dataclasses.asdict(proof) for proof in proofs]}
    with whole_file(path) as part:
        part.write_text(json.dumps(content), encoding="utf-8")


def of() -> dict[str, str]:
    """Return what all proofs of a file are of besides code: the packages, and the machine, whose rounding counts."""
    versions = provenance.installed_versions(PACKAGES)
    return {"machine": provenance.machine(), "python": platform.python_version()} | versions
