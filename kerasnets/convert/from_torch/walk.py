"""The walk over a program: each step becomes layers by the table of operators, or a constant that PyTorch computes."""

from dataclasses import replace
from typing import Any

from keras import ops

from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.operators import OPERATORS, VIEWS
from kerasnets.convert.from_torch.programs import Reference, Step
from kerasnets.convert.from_torch.regions import splice
from kerasnets.convert.from_torch.values import Batched, Value
from kerasnets.errors import BadInputError

# operators whose result depends on the shape of their first argument alone, not on its numbers
OF_SHAPE = ("new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like")
WEIGHTED = ("linear", "conv1d", "conv2d", "batch_norm", "layer_norm", "group_norm")  # layers that hold their parameters
WHOLE = ("alias", "detach")  # views of a whole tensor, with its shape
REMOVE = "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')"
NOTHING = ("_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range_for_size")


class Walk:
    """The values of a program's steps, and the layers that give them."""

    def __init__(self, builder: Builder, inputs: dict[str, Value]) -> None:
        self.builder = builder
        self.values: dict[str, Any] = {**inputs}
        self.values |= {key: tensor for key, (_, tensor) in builder.program.tensors.items()}
        self.results: dict[str, Any] = {}  # as the steps gave them, without what later steps overwrote
        self.shapes = {step.name: step.shape for step in builder.program.steps}
        self.last_use: dict[str, int] = {}
        for i, step in enumerate(builder.program.steps):
            for name in _references((step.args, step.kwargs)):
                self.last_use[name] = i

    def run(self) -> list[Any]:
        """Walk over all steps; return the outputs, Values or constants."""
        for i, step in enumerate(self.builder.program.steps):
            self.builder.step = step
            self.results[step.name] = self.values[step.name] = self.result(step)
            if step.in_place:
                self.overwrite(step, i)
        return [self.lookup(output) for output in self.builder.program.outputs]

    def lookup(self, argument: Any) -> Any:
        if isinstance(argument, Reference):
            return self.values[argument.name]
        if isinstance(argument, (tuple, list)):
            return [self.lookup(item) for item in argument]
        return argument

    def result(self, step: Step) -> Any:
        args = self.lookup(step.args)
        kwargs = {key: self.lookup(value) for key, value in step.kwargs.items()}
        if step.operator in NOTHING:
            return None
        if step.operator == "getitem":
            return args[0][args[1]]
        is_symbolic = any(isinstance(item, Value) for item in _leaves((args, kwargs)))
        if step.operator in OF_SHAPE and is_symbolic:
            return self.of_shape(step, args, kwargs)
        if not is_symbolic and not any(_is_trained(item) for item in _leaves((args, kwargs))):
            return _compute(step, args, kwargs)
        if step.operator not in OPERATORS:
            where = f" in {step.path} ({step.kind.rpartition('.')[2]})" if step.path else ""
            remedy = f"call {REMOVE} first" if "parametrizations." in step.path else ""
            raise BadInputError(f"no Keras layer is known for the operator {step.operator}{where}", remedy=remedy)
        args = [self.of_one_picture(ref, arg) for ref, arg in zip(step.args, args, strict=True)]
        if not is_symbolic:  # of parameters alone, which stay trained
            args = _as_values(self.builder, step, args)
        kwargs = {key: value for key, value in kwargs.items() if key not in ("memory_format", "dtype", "device")}
        result = OPERATORS[step.operator](self.builder, *args, **kwargs)
        results = [x for x in _leaves(result) if isinstance(x, Value)]
        self.builder.name_operations([x.tensor for x in results])
        if isinstance(result, Value):
            return replace(result, shape=step.shape)
        return [x and replace(x, shape=shape) for x, shape in zip(result, step.shapes, strict=True)]

    def of_one_picture(self, reference: Any, value: Any) -> Any:
        """Return a constant that PyTorch computed for each picture of the batch for one, if it is the same for all."""
        if isinstance(reference, (tuple, list)) and isinstance(value, list):
            return [self.of_one_picture(one, item) for one, item in zip(reference, value, strict=True)]
        if not isinstance(reference, Reference) or not hasattr(value, "narrow"):
            return value
        shape = self.shapes.get(reference.name, ())
        for dim, size in enumerate(shape):
            if isinstance(size, Batched) and bool((value == value.narrow(dim, 0, 1)).all()):
                value = value.narrow(dim, 0, 1)
        return value

    def of_shape(self, step: Step, args: Any, kwargs: Any) -> Any:
        """Return a constant whose shape comes from a symbolic value."""
        import torch

        if any(isinstance(size, Batched) for size in step.shape):
            return self.full(step, args)
        fill = {"new_ones": 1, "ones_like": 1, "new_full": args[-1], "full_like": args[-1]}.get(step.operator, 0)
        return torch.full(tuple(step.shape), fill, dtype=kwargs.get("dtype") or torch.float32)

    def full(self, step: Step, args: Any) -> Value:
        x = args[0]
        if not step.operator.endswith("_like"):
            raise self.builder.refuse("a constant with the batch's size is not converted")
        fill = {"ones_like": 1.0, "full_like": args[-1]}.get(step.operator, 0.0)
        return replace(x, tensor=ops.full_like(x.tensor, fill), shape=step.shape, rows=None)

    def overwrite(self, step: Step, position: int) -> None:
        """Give the overwritten tensor's name the new value; refuse if a tensor that shares its memory is read later."""
        [target, *_] = step.args
        value = self.values[target.name]
        if not isinstance(value, Value):
            return
        value = self.values[target.name] = replace(self.values[step.name], shape=value.shape)
        steps = {other.name: other for other in self.builder.program.steps}
        while target.name in steps and steps[target.name].operator in VIEWS and steps[target.name].args:
            view = steps[target.name]
            target = view.args[0]
            if not isinstance(target, Reference) or not isinstance(self.values[target.name], Value):
                return
            value = self.put_back(view, self.values[target.name], value)
            if value is None:
                if any(self.last_use.get(name, -1) > position for name in self.owners_of(target.name)):
                    raise self.builder.refuse("it overwrites a view of a tensor that is read later")
                return
            self.builder.name_operations([value.tensor])
            self.values[target.name] = value

    def put_back(self, view: Step, whole: Value, part: Value) -> Value | None:
        """Return a tensor of which a view was overwritten; None if that is not known."""
        if view.operator in WHOLE:
            return part
        if view.operator == "slice" and len(view.args) <= 4:
            return splice(self.builder, whole, part, *view.args[1:])
        return None

    def owners_of(self, name: str) -> list[str]:
        """Return a step's name, and those of the tensors that its result may share its memory with."""
        steps = {other.name: other for other in self.builder.program.steps}
        names = [name]
        while name in steps and steps[name].operator in VIEWS and steps[name].args:
            if not isinstance(steps[name].args[0], Reference):
                break
            name = steps[name].args[0].name
            names.append(name)
        return names


def _leaves(argument: Any) -> list[Any]:
    if isinstance(argument, (tuple, list)):
        return [leaf for item in argument for leaf in _leaves(item)]
    if isinstance(argument, dict):
        return _leaves(list(argument.values()))
    return [argument]


def _references(argument: Any) -> list[str]:
    return [leaf.name for leaf in _leaves(argument) if isinstance(leaf, Reference)]


def _is_trained(item: Any) -> bool:
    return bool(getattr(item, "requires_grad", False))


def _compute(step: Step, args: Any, kwargs: Any) -> Any:
    import torch

    with torch.no_grad():
        args = [x.detach() if isinstance(x, torch.Tensor) and x.is_leaf else x for x in args]
        return step.target(*args, **kwargs)


def _as_values(builder: Builder, step: Step, args: Any) -> Any:
    """Return the arguments with trained parameters as Values; for a layer with weights, its input alone."""
    if step.operator in WEIGHTED and not _is_trained(args[0]):
        return [builder.as_value(args[0]), *args[1:]]
    if step.operator in WEIGHTED:
        return [builder.parameter(args[0]), *args[1:]]
    return _with_parameters(builder, args)


def _with_parameters(builder: Builder, args: Any) -> Any:
    if isinstance(args, (tuple, list)):
        return [_with_parameters(builder, item) for item in args]
    return builder.parameter(args) if _is_trained(args) else args
