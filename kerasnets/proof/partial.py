"""The proofs that a verification has made so far, in a file beside its page, from which an interrupted run goes on."""

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


def path_of(out: str | Path) -> Path:
    """Return the path of the file that belongs to the page `out`."""
    return Path(out).with_name(f"{Path(out).stem}-partial.json")


@dataclass(frozen=True)
class Partial:
    """Proofs without faults, and the seconds that they took."""

    proofs: Sequence[Proof] = ()
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Write the proofs that have no fault, and keep those of other networks. OSError if that fails."""
        networks = {proof.network for proof in self.proofs}
        others = [proof for proof in Partial.load(path).proofs if proof.network not in networks]
        proofs = [*others, *(proof for proof in self.proofs if not proof.faults)]
        content = {"of": of(), "seconds": self.seconds, "proofs": [dataclasses.asdict(proof) for proof in proofs]}
        with whole_file(path) as part:
            part.write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, networks: Sequence[str] | None = None) -> "Partial":
        """Return the proofs in `path`, or those of `networks`: none if `of` has changed, or it is no such file."""
        try:
            content = json.loads(path.read_text("utf-8"))
            if content["of"] != of():
                return cls()
            proofs = [Proof(**{**proof, "input_shape": tuple(proof["input_shape"])}) for proof in content["proofs"]]
            whole = [proof for proof in proofs if not proof.faults]
            return cls([p for p in whole if networks is None or p.network in networks], float(content["seconds"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()


def of() -> dict[str, str]:
    """Return what a proof is of: the proven code, the packages and the machine, whose rounding it measures."""
    versions = provenance.installed_versions(PACKAGES)
    return {"code": digest(), "machine": provenance.machine(), "python": platform.python_version()} | versions
