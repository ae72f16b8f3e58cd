"""Each backend tells its accelerator, and the machine is described with that of the backend in use."""

import sys
from types import SimpleNamespace

import pytest

from kerasnets.runtime import accelerators, provenance


def fake_torch(name, multiplies):
    cuda = SimpleNamespace(
        is_available=lambda: bool(name),
        get_device_name=lambda: name,
        is_bf16_supported=lambda including_emulation: multiplies or including_emulation,
    )
    return SimpleNamespace(cuda=cuda)


def fake_tensorflow(name, capability):
    config = SimpleNamespace(
        list_physical_devices=lambda kind: [name] if name else [],
        experimental=SimpleNamespace(
            get_device_details=lambda device: {"device_name": device, "compute_capability": capability}
        ),
    )
    return SimpleNamespace(config=config)


def fake_jax(name, platform, **more):
    return SimpleNamespace(devices=lambda: [SimpleNamespace(device_kind=name, platform=platform, **more)])


@pytest.mark.parametrize(("backend", "module", "found"), [
    ("torch", fake_torch("", False), None),
    ("torch", fake_torch("T4", False), ("T4", False)),
    ("torch", fake_torch("H200", True), ("H200", True)),
    ("tensorflow", fake_tensorflow("", ()), None),
    ("tensorflow", fake_tensorflow("T4", (7, 5)), ("T4", False)),
    ("tensorflow", fake_tensorflow("H200", (9, 0)), ("H200", True)),
    ("jax", fake_jax("cpu", "cpu"), None),
    ("jax", fake_jax("T4", "gpu", compute_capability="7.5"), ("T4", False)),
    ("jax", fake_jax("H200", "gpu", compute_capability="9.0"), ("H200", True)),
    ("jax", fake_jax("TPU v5", "tpu"), ("TPU v5", True)),
])  # fmt: skip
def test_each_backend_tells_its_accelerator(monkeypatch, backend, module, found):
    monkeypatch.setitem(sys.modules, backend, module)
    assert accelerators.accelerator(backend) == found


def test_the_real_packages_are_asked_alike(workers):
    for backend, worker in workers.items():
        found = worker(accelerators.accelerator, backend)
        assert found is None or (isinstance(found[0], str) and isinstance(found[1], bool))


@pytest.mark.parametrize(("name", "ending"), [("", ""), ("H200", " and H200")])
def test_the_machine_is_described_without_a_question_to_another_backend(monkeypatch, name, ending):
    """Keras imports JAX in a process of torch too; JAX would start there, and take most of a GPU's memory."""
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(backend=SimpleNamespace(backend=lambda: "torch")))
    monkeypatch.setitem(sys.modules, "torch", fake_torch(name, True))
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=lambda: pytest.fail("JAX was asked")))
    monkeypatch.setattr(provenance.platform, "processor", lambda: "P")
    assert provenance.machine().endswith(ending)
    assert name or " and " not in provenance.machine()
