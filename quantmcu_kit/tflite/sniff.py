"""Is this a .tflite file, and if not, what is it? Decided from the first bytes alone."""

from __future__ import annotations

from quantmcu_kit.errors import QmkitError

IDENTIFIER = b"TFL3"  # flatbuffer file identifier of schema version 3, bytes 4 to 8

_EXPORT = "export the network as a .tflite file, for instance with tf.lite.TFLiteConverter"
_DOWNLOAD = "download the file itself (on a repository's web page: the raw file)"

# (leading bytes, what such a file is, what to do about it); the first match wins
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", "give the model file; pictures go to --images"),
    (b"\xff\xd8\xff", "a JPEG picture", "give the model file; pictures go to --images"),
    (b"GIF8", "a GIF picture", "give the model file; pictures go to --images"),
    (b"BM", "a BMP picture", "give the model file; pictures go to --images"),
    (b"RIFF", "a RIFF file (WAV or WebP)", "give the model file; pictures go to --images"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras .h5)", "convert it with tf.lite.TFLiteConverter.from_keras_model"),
    (b"PK\x03\x04", "a ZIP archive (Keras .keras, PyTorch .pt or a packed model)", f"unpack it, or {_EXPORT}"),
    (b"\x93NUMPY", "a NumPy array", "give the model file; arrays go to --images"),
    (b"\x7fELF", "an ELF program", "give the model file, not the firmware"),
    (b"\x80\x02", "a Python pickle (PyTorch)", _EXPORT),
    (b"\x80\x04", "a Python pickle", _EXPORT),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"%PDF", "a PDF document", _DOWNLOAD),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for", "run `git lfs pull` at its source"),
    (b"\x08", "a protocol buffer (ONNX or a SavedModel)", "convert it to .tflite, for instance with onnx2tf"),
)


def check_identifier(data: bytes, where: str) -> None:
    """Raise ``empty-file`` or ``not-a-tflite`` unless ``data`` carries the identifier of a .tflite file."""
    if not data:
        raise QmkitError("empty-file", "the model file is empty", where=where, hint=_DOWNLOAD)
    if data[4:8] == IDENTIFIER:
        return
    looks_like, hint = _identify(data)
    raise QmkitError(
        "not-a-tflite",
        f"this is not a .tflite model: it looks like {looks_like}",
        where=where,
        why='a .tflite file carries the identifier "TFL3" at byte 4',
        hint=hint,
    )


def _identify(data: bytes) -> tuple[str, str]:
    for signature, looks_like, hint in _SIGNATURES:
        if data.startswith(signature):
            return looks_like, hint
    head = data[:512]
    if head.lstrip()[:1] == b"<":
        return "a web page (HTML or XML)", _DOWNLOAD
    if all(byte in b"\t\n\r\f" or 32 <= byte for byte in head) and _is_utf8(head):
        return "text", _DOWNLOAD
    if data[4:7] == b"TFL":
        return "a .tflite file of another schema version", "convert the network again with a current TensorFlow"
    return "unknown binary data", _EXPORT


def _is_utf8(head: bytes) -> bool:
    # up to 3 bytes of a character may be cut off at the end
    return any(_decodes(head[: len(head) - cut]) for cut in range(4))


def _decodes(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
