"""Typed errors, all raised before a kernel is launched; the tensors are then untouched."""


class KernelError(ValueError):
    """Base of every error of this package: arguments that no kernel may be launched with."""


class ShapeError(KernelError):
    """Sizes that do not fit each other, or that a kernel does not support."""


class DtypeError(KernelError):
    """An element type that a kernel, or the Triton interpreter, does not compute right."""


class LayoutError(KernelError):
    """Strides other than those that the kernel's address arithmetic takes for granted."""


class DeviceError(KernelError):
    """Tensors on different devices, or on a device that the backend cannot use."""


class PageTableError(KernelError):
    """Page numbers, lengths or positions that would make a kernel leave its buffers."""


class BackendUnavailable(KernelError):
    """The requested backend is unknown, not installed, or does not do what was asked."""
