"""The allow-list of what a model's configuration may be made of: Keras' own classes and functions that only compute.

Left out on purpose: what runs code of the file (Lambda), what loads something else (TFSMLayer, TorchModuleWrapper, JaxLayer,
FlaxLayer), what takes functions (Map, Cond, WhileLoop and the like), and base classes.
"""

from __future__ import annotations

import re

__all__ = [
    "ACTIVATIONS",
    "CODE",
    "FOREIGN",
    "LAYERS",
    "LOOKUPS",
    "MODELS",
    "OBJECTS",
    "OPERATIONS",
    "VALUES",
    "is_operation",
]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODELS = frozenset({"Sequential", "Functional", "Model"})

CODE = frozenset({"Lambda", "__lambda__", "TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod"})  # fmt: skip
"""Code inside the configuration."""

FOREIGN = frozenset({"TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "FeatureSpace"})
"""Layers that load something that is not in the configuration."""

LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization"})
"""Layers whose `vocabulary` may be a path, which is refused."""

VALUES = frozenset(
    {"__keras_tensor__", "__numpy__", "__tensor__", "__bytes__", "__ellipsis__", "__slice__"}
)
"""Values as Keras writes them in the arguments of operations."""

LAYERS = _names(
    """
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention AugMix
    AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D
    BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose
    ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose Convolution2D Convolution2DTranspose
    Convolution3D Convolution3DTranspose Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D
    Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D
    GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    GroupNormalization GroupQueryAttention HashedCrossing Hashing Identity InputLayer IntegerLookup LSTM LSTMCell
    LayerNormalization LeakyReLU Masking MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D
    MaxPooling3D Maximum MelSpectrogram Minimum MixUp MultiHeadAttention Multiply Normalization PReLU Permute Pipeline
    RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast
    RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert
    RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation
    RandomZoom ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D
    SeparableConv2D SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell Softmax Solarization
    SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup Subtract
    TextVectorization TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D
    ZeroPadding2D ZeroPadding3D
    """
)

OBJECTS = _names(
    """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
    Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer TruncatedNormal VarianceScaling
    Zeros constant glorot_normal glorot_uniform he_normal he_uniform identity lecun_normal lecun_uniform ones orthogonal
    random_normal random_uniform stft truncated_normal variance_scaling zeros L1 L1L2 L2 OrthogonalRegularizer l1 l1_l2
    l2 orthogonal_regularizer MaxNorm MinMaxNorm NonNeg UnitNorm max_norm min_max_norm non_neg unit_norm DTypePolicy
    FloatDTypePolicy DTypePolicyMap QuantizedDTypePolicy QuantizedFloat8DTypePolicy SeedGenerator
    """
)
"""Initialisers, regularisers, constraints, dtype policies, and random generators."""

ACTIVATIONS = _names(
    """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
    sparsemax squareplus swish tanh tanh_shrink threshold
    """
)

_ALL_BUT = "JVP"
OPERATIONS = {
    "keras.src.ops.numpy": "*",
    "keras.src.ops.nn": "*",
    "keras.src.ops.math": "*",
    "keras.src.ops.image": "*",
    "keras.src.ops.einops": "*",
    "keras.src.ops.linalg": "*",
    "keras.src.ops.core": "Cast SaturateCast ConvertToTensor Scatter ScatterUpdate Slice SliceUpdate StopGradient Unstack",
}
"""The modules of Keras' operations, and which of theirs are allowed; "*" for all that take no function."""


def is_operation(module: object, name: str) -> bool:
    """Whether a class is an allowed operation, by its name."""
    allowed = OPERATIONS.get(str(module), "")
    if allowed == "*":
        return re.fullmatch(r"[A-Z]\w*", name) is not None and name != _ALL_BUT
    return name in allowed.split()
