"""The accelerator that a backend computes on."""

AMPERE = (8, 0)  # the compute capability from which NVIDIA's GPUs multiply in bfloat16


def accelerator(backend: str) -> tuple[str, bool] | None:
    """Return (name, whether it multiplies in bfloat16) of the accelerator of a backend; None without one."""
    if backend == "torch":
        import torch

        if not torch.cuda.is_available():
            return None
        return torch.cuda.get_device_name(), torch.cuda.is_bf16_supported(including_emulation=False)
    if backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
        if not devices:
            return None
        details = tf.config.experimental.get_device_details(devices[0])
        return details.get("device_name", "the GPU"), details.get("compute_capability", AMPERE) >= AMPERE
    import jax

    device = jax.devices()[0]
    if device.platform == "cpu":
        return None
    numbers = str(getattr(device, "compute_capability", "")).split(".")  # of GPUs; "" of TPUs, which do
    return device.device_kind, numbers == [""] or tuple(map(int, numbers)) >= AMPERE
