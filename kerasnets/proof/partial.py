"""The proofs that a verification has made so far, in a file beside its page, from which an interrupted run goes on."""

import dataclasses
import json
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
        """Write the proofs that have no fault. Raises OSError if the file cannot be written."""
        content = {
            "of": code_and_packages(),
            "seconds": self.seconds,
            "proofs": [dataclasses.asdict(proof) for proof in self.proofs if not proof.faults],
        }
        with whole_file(path) as part:
            part.write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, networks: Sequence[str]) -> "Partial":
        """Return what `path` has of `networks`: nothing if it is of other code or packages, or is no such file."""
        try:
            content = json.loads(path.read_text("utf-8"))
            if content["of"] != code_and_packages():
                return cls()
            proofs = [Proof(**{**proof, "input_shape": tuple(proof["input_shape"])}) for proof in content["proofs"]]
            return cls([proof for proof in proofs if proof.network in networks], float(content["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()


def code_and_packages() -> dict[str, str]:
    """Return what a proof is of: the digest of the proven code, and the version of each package."""
    return {"code": digest()} | provenance.installed_versions(PACKAGES)
