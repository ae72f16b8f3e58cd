"""The steps of Keras' optimizers on torch, variable by variable in place, with the optimizer's own variables.

Keras 3.15 makes new arrays of the size of all weights several times in a step of Adam and of RMSprop, and looks at
each variable and its rank anew: on a VGG of 9 million weights its Adam took 1.5 times as long as PyTorch's.
"""


def step_of(optimizer, variables):
    """A function of [gradient of each variable] that takes one step of a built Keras optimizer, in place.

    Raises ValueError for an optimizer, or an option of one, whose step is not told here.
    """
    make, told = STEPS.get(type(optimizer).__name__, (None, ()))
    usual = type(optimizer)().get_config()
    others = [name for name, value in optimizer.get_config().items() if name not in told and value != usual[name]]
    if make is None or others:
        raise ValueError(f"no step of PyTorch's for {type(optimizer).__name__} {' '.join(others)}".rstrip())
    step = make(optimizer, [variable.value for variable in variables])

    def take(gradients):
        step(gradients, float(optimizer.learning_rate))
        optimizer.iterations.value.add_(1)

    return take


def adam(optimizer, values):
    first, second = states(optimizer, "momentum"), states(optimizer, "velocity")

    def step(gradients, rate):
        steps = int(optimizer.iterations.value) + 1
        rate *= (1 - optimizer.beta_2**steps) ** 0.5 / (1 - optimizer.beta_1**steps)
        for value, gradient, mean, square in zip(values, gradients, first, second, strict=True):
            mean.lerp_(gradient, 1 - optimizer.beta_1)
            square.mul_(optimizer.beta_2).addcmul_(gradient, gradient, value=1 - optimizer.beta_2)
            value.addcdiv_(mean, square.sqrt().add_(optimizer.epsilon), value=-rate)

    return step


def rmsprop(optimizer, values):
    squares = states(optimizer, "velocity")

    def step(gradients, rate):
        for value, gradient, square in zip(values, gradients, squares, strict=True):
            square.mul_(optimizer.rho).addcmul_(gradient, gradient, value=1 - optimizer.rho)
            value.addcdiv_(gradient, square.add(optimizer.epsilon).sqrt_(), value=-rate)

    return step


def sgd(optimizer, values):
    speeds = states(optimizer, "momentum")

    def step(gradients, rate):
        for value, gradient, speed in zip(values, gradients, speeds or gradients, strict=True):
            if speeds:
                value.add_(speed.mul_(optimizer.momentum).sub_(gradient, alpha=rate))
            else:
                value.sub_(gradient, alpha=rate)

    return step


def states(optimizer, name):
    """What the optimizer keeps under this name of each variable, in their order; none where it keeps none."""
    return [variable.value for variable in optimizer.variables if variable.path.endswith(f"_{name}")]


# class of an optimizer -> (function that makes its step, options that the step heeds)
STEPS = {
    "Adam": (adam, {"name", "learning_rate", "beta_1", "beta_2", "epsilon"}),
    "RMSprop": (rmsprop, {"name", "learning_rate", "rho", "epsilon"}),
    "SGD": (sgd, {"name", "learning_rate", "momentum"}),
}
