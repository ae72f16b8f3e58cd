"""Several devices on JAX: jax.distributed and Keras' DataParallel, under which one program computes the global batch.

They may belong to one process or to several workers. Batch normalization, dropout, loss and metrics therefore need
nothing. JAX takes equal parts only, and would train on unequal ones without an error; a batch that cannot be parted
equally, such as the last one of an epoch, is computed whole by each device.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import keras
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding

from kerasnets.runtime.connections import free_port

if TYPE_CHECKING:
    from kerasnets.training.workers import Group

SILENCE = 24 * 3600  # seconds: a lost worker is noticed by runtime.meeting


class Engine:
    """The devices of all workers, or of the only one, as one.

    Attributes:
        parts: Devices that share a batch.
    """

    equal_shares = True
    own_statistics = False

    def __init__(self, group: "Group") -> None:
        self.group = group
        if group.meeting:
            self.connect(group.meeting.addresses[0])
        self.parts = jax.device_count()
        self.distribution = Distribution(auto_shard_dataset=False)
        mesh = jax.sharding.Mesh(np.array(jax.devices()), ("batch",))
        self.whole, self.shared = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))

    def connect(self, address: str) -> None:
        """Let the processes of JAX find each other; worker 0 is at `address`."""
        group, here = self.group, self.group.place
        address = group.exchange(f"{address}:{free_port('')}")[0]
        devices = [here.local_rank] if here.local_count > 1 else None  # of the GPUs of this machine
        jax.distributed.initialize(
            address, group.count, group.rank, devices, heartbeat_timeout_seconds=SILENCE,
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is open that does not end with the process."""

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Let variables belong to all workers."""
        with self.distribution.scope():
            yield

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """Let variables belong to this worker."""
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)

    def network(self, network: keras.Model) -> "JaxNetwork":
        """Return `network` with a step that computes batches of all workers."""
        copy = JaxNetwork(network.inputs, network.outputs, name=network.name)
        copy.engine = self
        return copy

    def globalize(self, batch: Any) -> Any:
        """Return the arrays of the global batch, from those of this worker's part."""
        total, _ = self.group.next_batch()
        place = self.whole if total % self.parts else self.shared
        return jax.tree.map(lambda part: jax.make_array_from_process_local_data(place, np.asarray(part)), batch)


class Distribution(keras.distribution.DataParallel):
    """Variables belong to all workers; batches arrive as they are, because their parts are not always equal."""

    def get_data_layout(self, data_shape: Any) -> Any:
        return Local()


class Local:
    """The layout of an array on this worker's CPU."""

    @property
    def backend_layout(self) -> SingleDeviceSharding:
        return SingleDeviceSharding(jax.local_devices(backend="cpu")[0])


class JaxNetwork(keras.Model):
    """A functional model whose step computes the global batch."""

    engine: Engine
    train_function: Any

    def make_train_function(self, force: bool = False) -> None:
        if self.train_function is not None and not force:
            return  # `fit` has been called before
        super().make_train_function(force)
        step = self.train_function

        def globalize_and_step(state: Any, batches: Iterator[Any]) -> Any:
            return step(state, iter([self.engine.globalize(next(batches))]))

        self.train_function = globalize_and_step
