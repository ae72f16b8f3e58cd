"""DATASETS: the known data sets, with the addresses and checksums of their files."""

import dataclasses
from dataclasses import dataclass, field

from kerasnets.data import idx
from kerasnets.data.dataset import ROWS


@dataclass(frozen=True)
class Dataset:
    """What a data set contains, and where its files come from."""

    title: str
    class_names: tuple[str, ...]
    input_kind: str  # how a picture is prepared to resemble the images of the set: a name in pictures.KINDS
    image_shape: tuple[int, ...]  # (height, width, channels), or (columns,) of a table
    train: int  # images to train and validate on
    test: int
    form: str = ""  # of its files: a name in sources.READERS; "" if it needs no file
    folder: str = ""  # in torchvision's layout, below --data-dir or ./data
    keras_folder: str = ""  # below Keras' cache
    archive: str = ""  # name of a file that contains the whole set
    pictures: dict[str, str] = field(default_factory=dict)  # zip of class folders with the same images -> title
    torchvision: str = ""  # its class in torchvision.datasets
    urls: tuple[tuple[str, str | None], ...] = ()  # for Keras: (address, SHA-256 of the file or None)
    checksums: tuple[str, ...] = ()  # SHA-256 of the arrays' bytes, in the order of idx.PARTS
    permuted: str = ""  # name of the data set whose pixels are permuted
    batches: dict[str, str] = field(default_factory=dict)  # file -> MD5, the test batch last

    @property
    def first_file(self) -> str:
        """A file by which a person recognizes the folder."""
        return self.archive if self.form == "cifar" else f"{idx.PARTS[0][0]}.gz"


DIGITS = tuple("0123456789")

KERAS_FILES = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
CIFAR_FILES = "https://www.cs.toronto.edu/~kriz/"

# The fine labels in the order of their numbers, from the file `meta` of the data set.
CIFAR100_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table
tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman
worm
"""

DATASETS: dict[str, Dataset] = {
    # The checksums are of the content, without headers, of files with the published MD5 (6bbc9ace..., a25bea73...,
    # 2646ac64..., 27ae3e4e... unpacked); the archive's is from keras.datasets.mnist.
    "mnist": Dataset(
        title="MNIST",
        class_names=DIGITS,
        input_kind="mnist",
        image_shape=(28, 28, 1),
        train=60_000,
        test=10_000,
        form="idx",
        folder="MNIST/raw",
        archive="mnist.npz",
        torchvision="MNIST",
        urls=((f"{KERAS_FILES}mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"),),
        checksums=(
            "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
            "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
            "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
            "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
        ),
    ),
    # The checksums are of the content, without headers, of the files in Debian's package dataset-fashion-mnist
    # (0.0~git20200523.55506a9-1). Keras states no checksums of its copies.
    "fashion_mnist": Dataset(
        title="Fashion-MNIST",
        class_names=(
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
        input_kind="fashion",
        image_shape=(28, 28, 1),
        train=60_000,
        test=10_000,
        form="idx",
        folder="FashionMNIST/raw",
        keras_folder="fashion-mnist",
        torchvision="FashionMNIST",
        urls=tuple((f"{KERAS_FILES}{part}.gz", None) for part, _ in idx.PARTS),
        checksums=(
            "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
            "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
            "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
            "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
        ),
    ),
    # The MD5 of the batches are from torchvision.datasets.CIFAR10 and CIFAR100, the SHA-256 of the archives from
    # keras.datasets.
    "cifar10": Dataset(
        title="CIFAR-10",
        class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        input_kind="picture",
        image_shape=(32, 32, 3),
        train=50_000,
        test=10_000,
        form="cifar",
        folder="cifar-10-batches-py",
        keras_folder="cifar-10-batches-py-target/cifar-10-batches-py",
        archive="cifar-10-python.tar.gz",
        pictures={"cifar10-png.zip": "CIFAR-10 (PNG)", "cifar10-jpeg.zip": "CIFAR-10 (JPEG)"},
        torchvision="CIFAR10",
        urls=((f"{CIFAR_FILES}cifar-10-python.tar.gz",
               "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"),),
        batches={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
        },
    ),
    "cifar100": Dataset(
        title="CIFAR-100",
        class_names=tuple(CIFAR100_NAMES.split()),
        input_kind="picture",
        image_shape=(32, 32, 3),
        train=50_000,
        test=10_000,
        form="cifar",
        folder="cifar-100-python",
        keras_folder="cifar-100-python-target/cifar-100-python",
        archive="cifar-100-python.tar.gz",
        torchvision="CIFAR100",
        urls=((f"{CIFAR_FILES}cifar-100-python.tar.gz",
               "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"),),
        batches={"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    ),
    "digits": Dataset(
        title="scikit-learn's digits",
        class_names=DIGITS,
        input_kind="mnist",
        image_shape=(28, 28, 1),
        train=1437,
        test=360,
    ),
    "sum3": Dataset(
        title="sums of three numbers",
        class_names=("below 1", "between 1 and 2", "above 2"),
        input_kind=ROWS,
        image_shape=(3,),
        train=7_000,
        test=3_000,
    ),
}  # fmt: skip
"""The known data sets, {name: Dataset}; a Dataset has title, class_names, image_shape, train and test counts.

Example:
    >>> from kerasnets import DATASETS
    >>> DATASETS["fashion_mnist"].class_names[9]
    'Ankle boot'
"""

# The pixels of all images in one random order: no matter to a dense network, a loss to a convolution
DATASETS["mnist-permuted"] = dataclasses.replace(
    DATASETS["mnist"], title="MNIST, pixels permuted", input_kind="mnist_permuted", permuted="mnist"
)
