from __future__ import annotations

import copy
import io
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from file_mutations import damaged_reads
from memory_peak import peak, reset_peak

from gruspec.errors import FileError, RefusedFile
from gruspec.files import Contents, Entry, WrittenGRU
from gruspec.layouts import Sizes, convert

torch = pytest.importorskip("torch")
ml_dtypes = pytest.importorskip("ml_dtypes")

from gruspec_torch import files  # noqa: E402  after what may be missing
from gruspec_torch.files import TorchFormat  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = TorchFormat()
DTYPES = ["float32", "float64", "float16", "bfloat16"]


def new_model() -> Any:
    """Return a GRU among layers that have the names of one."""
    return torch.nn.ModuleDict(
        {
            "embedding": torch.nn.Embedding(11, 3),
            "rnn": torch.nn.GRU(3, 4, num_layers=2, bidirectional=True),
            "lstm": torch.nn.LSTM(3, 4),
            "projected": torch.nn.LSTM(3, 8, proj_size=6),
            "plain": torch.nn.RNN(3, 4),
            "cell": torch.nn.GRUCell(3, 5, bias=False),
            "lstm_cell": torch.nn.LSTMCell(3, 4),
            "norm": torch.nn.BatchNorm1d(4),
        }
    )


def bits_of(values: Any) -> tuple[str, tuple[int, ...], bytes]:
    """Return dtype, shape and bytes of a tensor of PyTorch."""
    values = values.detach().contiguous()
    name = str(values.dtype).removeprefix("torch.")
    raw = values.view(torch.uint8) if values.dim() else values.reshape(1).view(torch.uint8)
    return name, tuple(values.shape), raw.numpy().tobytes()


def read_all(path: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    with FORMAT.read(path) as checkpoint:
        found = {name: tensor.read() for name, tensor in checkpoint.tensors.items()}
        assert all(
            (values.shape, values.dtype) == (checkpoint.tensors[name].shape, checkpoint.tensors[name].dtype)
            for name, values in found.items()
        )
        return {name: (values.dtype.name, values.shape, values.tobytes()) for name, values in found.items()}


def entry(name: str, values: np.ndarray[Any, Any]) -> Entry:
    return Entry(name, values.shape, values.dtype, lambda written: np.copyto(written, values))


def contents(values: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str] | None = None) -> Contents:
    return Contents(tuple(entry(name, each) for name, each in values.items()), (), metadata or {})


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    return new_model()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("zipped", [True, False])
def test_state_dicts_are_read_bit_for_bit(tmp_path: Path, model: Any, dtype: str, *, zipped: bool) -> None:
    path = tmp_path / "model.pt"
    module = copy.deepcopy(model).to(getattr(torch, dtype))
    torch.save(module.state_dict(), path, _use_new_zipfile_serialization=zipped)
    assert FORMAT.recognises(path)
    expected = torch.load(path, weights_only=True)
    assert read_all(path) == {name: bits_of(values) for name, values in expected.items()}


def test_gru_layers_and_cells_are_found_and_nothing_else(tmp_path: Path, model: Any) -> None:
    torch.save(model.state_dict(), tmp_path / "model.pt")
    with FORMAT.read(tmp_path / "model.pt") as checkpoint:
        stacked, cell = checkpoint.grus
    assert (stacked.path, stacked.layout, stacked.sizes, stacked.use_bias) == ("rnn", "torch", (3, 4, 2, 2), True)
    assert (cell.path, cell.sizes, cell.use_bias) == ("cell", (3, 5, 1, 1), False)
    assert "torch-cell" in cell.layouts
    assert stacked.reset_after is True


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_every_protocol_is_read(tmp_path: Path, model: Any, protocol: int, *, zipped: bool) -> None:
    path = tmp_path / "model.bin"
    torch.save(model.state_dict(), path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    assert read_all(path) == {name: bits_of(values) for name, values in model.state_dict().items()}


def test_views_of_shared_storage_are_read_as_they_lie(tmp_path: Path) -> None:
    flat = torch.arange(60, dtype=torch.float32)
    views = {
        "first": flat[:12].view(3, 4),
        "transposed": flat[12:24].view(3, 4).t(),
        "stepped": flat[1::7],
        "repeated": flat[5:6].expand(4, 3),
        "empty": flat[:0].view(0, 3),
        "scalar": flat[59],
        "parameter": torch.nn.Parameter(flat[3:9]),
        "buffer": torch.nn.Buffer(flat[3:9]),
    }
    for zipped in (True, False):
        torch.save(views, tmp_path / "views.pt", _use_new_zipfile_serialization=zipped)
        assert read_all(tmp_path / "views.pt") == {name: bits_of(values) for name, values in views.items()}


def test_views_of_storage_in_old_files_are_read(tmp_path: Path) -> None:
    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if isinstance(value, torch.storage.TypedStorage):
                return ("storage", torch.FloatStorage, "7", "cpu", 10, ("view", 3, 5))
            return None

    stream = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(value, stream, 2)
    Pickler(stream, 2).dump({"part": torch.zeros(5)[1:4]})
    pickle.dump(["7"], stream, 2)
    stream.write(struct.pack("<q", 10) + np.arange(10, dtype="<f4").tobytes())
    (tmp_path / "old.pt").write_bytes(stream.getvalue())
    assert torch.load(tmp_path / "old.pt", weights_only=True)["part"].tolist() == [4, 5, 6]
    with FORMAT.read(tmp_path / "old.pt") as checkpoint:
        assert checkpoint.tensors["part"].read().tolist() == [4, 5, 6]


def test_every_plain_dtype_is_read_and_written(tmp_path: Path) -> None:
    raw = torch.arange(96, dtype=torch.uint8)
    names = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "complex64", "complex128"]
    names += ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", *DTYPES]
    values = {name: raw.clone().view(getattr(torch, name)) for name in names} | {"bool": raw % 2 == 0}
    torch.save(values, tmp_path / "in.pt")
    with FORMAT.read(tmp_path / "in.pt") as checkpoint:
        assert not checkpoint.left
        FORMAT.write(tmp_path / "out.pt", contents({name: each.read() for name, each in checkpoint.tensors.items()}))
    written = torch.load(tmp_path / "out.pt", weights_only=True)
    assert {name: bits_of(each) for name, each in written.items()} == {
        name: bits_of(each) for name, each in values.items()
    }
    assert read_all(tmp_path / "in.pt") == {name: bits_of(each) for name, each in values.items()}


def test_containers_are_named_and_written_again(tmp_path: Path, model: Any) -> None:
    optimizer = torch.optim.Adam(model["rnn"].parameters())
    model["rnn"](torch.zeros(2, 1, 3))[0].sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    checkpoint = {
        "epoch": 3,
        "hyper_parameters": {"units": 4, "names": ["a", "b"]},
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "averages": [torch.ones(2), torch.zeros(3)],
    }
    torch.save(checkpoint, tmp_path / "lightning.ckpt")
    with FORMAT.read(tmp_path / "lightning.ckpt") as opened:
        assert [gru.path for gru in opened.grus] == ["state_dict/rnn", "state_dict/cell"]
        assert opened.left["epoch"] == "is no tensor: int 3"
        assert "hyper_parameters" in opened.left
        assert "optimizer/param_groups" in opened.left
        values = {name: tensor.read() for name, tensor in opened.tensors.items()}
        FORMAT.write(tmp_path / "again.ckpt", contents(values, opened.metadata))
        FORMAT.write(tmp_path / "flat.ckpt", contents(values))
    again = torch.load(tmp_path / "again.ckpt", weights_only=True)
    new_model().load_state_dict(again["state_dict"], strict=True)
    assert again["optimizer"]["state"][0]["exp_avg"].equal(optimizer.state_dict()["state"][0]["exp_avg"])
    assert [each.tolist() for each in again["averages"]] == [[1, 1], [0, 0, 0]]
    assert "state_dict/rnn.weight_ih_l0" in torch.load(tmp_path / "flat.ckpt", weights_only=True)


def test_weights_of_keras_come_out_of_a_strictly_loaded_module(tmp_path: Path) -> None:
    values = np.random.default_rng(0)
    keras = {
        "kernel": values.normal(size=(3, 12)).astype(np.float32),
        "recurrent_kernel": values.normal(size=(4, 12)).astype(np.float32),
        "bias": values.normal(size=(2, 12)).astype(np.float32),
    }
    converted = convert(keras, "keras", "torch").arrays
    FORMAT.write(tmp_path / "gru.pt", contents(converted))
    module = torch.nn.GRU(3, 4)
    module.load_state_dict(torch.load(tmp_path / "gru.pt", weights_only=True), strict=True)
    z, r, h = np.split(keras["kernel"], 3, axis=1)
    assert np.array_equal(module.weight_ih_l0.detach().numpy(), np.concatenate([r.T, z.T, h.T]))
    with FORMAT.read(tmp_path / "gru.pt") as checkpoint:
        (gru,) = checkpoint.grus
        arrays = {array: checkpoint.tensors[name].read() for array, name in gru.names.items()}
    back = convert(arrays, "torch", "keras").arrays
    assert all(back[name].tobytes() == keras[name].tobytes() for name in keras)


def test_a_layer_of_tf_keras_computes_what_the_loaded_module_does(tmp_path: Path) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    layer = tf_keras.layers.GRU(4, reset_after=True, return_sequences=True, bias_initializer="normal", dtype="float64")
    inputs = np.random.default_rng(1).normal(size=(2, 5, 3))
    outputs = layer(inputs).numpy()
    keras = dict(zip(("kernel", "recurrent_kernel", "bias"), layer.get_weights(), strict=True))
    FORMAT.write(tmp_path / "gru.pt", contents(convert(keras, "keras", "torch").arrays))
    module = torch.nn.GRU(3, 4, batch_first=True, dtype=torch.float64)
    module.load_state_dict(torch.load(tmp_path / "gru.pt", weights_only=True), strict=True)
    found = module(torch.from_numpy(inputs))[0].detach().numpy()
    # A step adds at most 8 terms and three activations of magnitude below 2 each; five steps, both sides.
    assert np.max(np.abs(found - outputs)) <= 2 * 5 * 3 * (8 + 8) * 2 * 2.0**-53


def test_what_is_no_plain_array_is_left_and_named(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="deprecated"):
        quantized = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    values = {
        "kept": torch.ones(2),
        "conjugate": torch.zeros(3, dtype=torch.complex64).conj(),
        "sparse": torch.eye(3).to_sparse(),
        "quantized": quantized,
        "meta": torch.zeros(2, device="meta"),
        "size": torch.Size([1, 2]),
        "words": "text",
    }
    torch.save(values, tmp_path / "strange.pt")
    with FORMAT.read(tmp_path / "strange.pt") as checkpoint:
        assert list(checkpoint.tensors) == ["kept"]
        assert set(checkpoint.left) == set(values) - {"kept"}
        assert "quantized" in checkpoint.left["quantized"]
        assert "conj" in checkpoint.left["conjugate"]


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_of_a_file_is_executed(tmp_path: Path, *, zipped: bool) -> None:
    marker = tmp_path / "marker"
    torch.save(
        {"weight": torch.ones(2), "trap": Trap(marker)}, tmp_path / "t.pt", _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(FileError, match=r"'\w+\.mkdir', which would have to be executed"):
        FORMAT.read(tmp_path / "t.pt")
    assert not marker.exists()
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Trap(marker)))
    assert FORMAT.recognises(tmp_path / "plain.pkl")
    with pytest.raises(FileError, match="executed"):
        FORMAT.read(tmp_path / "plain.pkl")
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, on what it packs, at the first time only
def test_modules_scripts_and_packed_weights_are_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    torch.save(torch.nn.GRU(3, 4), path)
    with pytest.raises(FileError, match=r"a whole module, 'torch.nn.modules.rnn.GRU'.*state_dict"):
        FORMAT.read(path)
    with pytest.warns(DeprecationWarning, match=r"torch\.jit"):
        torch.jit.save(torch.jit.script(torch.nn.GRU(3, 4)), path)
    assert FORMAT.recognises(path)
    with pytest.raises(FileError, match=r"TorchScript.*torch.jit.load"):
        FORMAT.read(path)
    torch.save({"best": np.float64(3)}, path)
    with pytest.raises(FileError, match=r"numpy\S+ which would have to be executed"):
        FORMAT.read(path)
    with pytest.warns(DeprecationWarning, match=r"torch\.ao"):
        packed = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.GRU(3, 4)), {torch.nn.GRU})
    torch.save(packed.state_dict(), path)
    with pytest.raises(FileError, match=r"ScriptObject|[Pp]acked|torch\.\w+"):
        FORMAT.read(path)


def rewritten(path: Path, change: Any, compression: int = zipfile.ZIP_STORED) -> None:
    """Write an archive again, each record as ``change`` gives it: pairs of names and bytes."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in change(records):
            archive.writestr(name, data)


@pytest.fixture
def saved(tmp_path: Path, model: Any) -> Path:
    path = tmp_path / "model.pt"
    torch.save(model.state_dict(), path)
    return path


def test_deflated_archives_are_read(saved: Path, model: Any) -> None:
    rewritten(saved, dict.items, zipfile.ZIP_DEFLATED)
    assert read_all(saved) == {name: bits_of(values) for name, values in model.state_dict().items()}


def test_archives_of_the_other_byte_order_are_read(tmp_path: Path) -> None:
    values = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1 + 2j, 3 - 4j])}
    torch.save(values, tmp_path / "big.pt")

    def swapped(records: dict[str, bytes]) -> Any:
        for name, data in records.items():
            if name.endswith("byteorder"):
                yield name, b"big"
            elif "/data/" in name:
                yield name, np.frombuffer(data, "u4").byteswap().tobytes()
            else:
                yield name, data

    rewritten(tmp_path / "big.pt", swapped)
    expected = torch.load(tmp_path / "big.pt", weights_only=True)
    assert expected["a"].equal(values["a"])
    assert read_all(tmp_path / "big.pt") == {name: bits_of(each) for name, each in values.items()}


def test_archives_without_checksums_are_read_and_others_are_checked(tmp_path: Path, saved: Path, model: Any) -> None:
    data = bytearray(saved.read_bytes())
    weight = model.state_dict()["rnn.weight_hh_l1"].numpy().tobytes()
    data[data.index(weight)] ^= 1
    saved.write_bytes(data)
    with FORMAT.read(saved) as checkpoint, pytest.raises(FileError, match=r"record '\S+/data/\d+' is damaged"):
        checkpoint.tensors["rnn.weight_hh_l1"].read()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(model.state_dict(), tmp_path / "unchecked.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_all(tmp_path / "unchecked.pt") == {name: bits_of(each) for name, each in model.state_dict().items()}


def renamed(name: str) -> Any:
    return lambda records: [*records.items(), (name, b"x")]


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "model/../../outside", "model\\..\\outside"])
def test_names_that_lead_out_of_the_archive_are_refused(saved: Path, name: str) -> None:
    rewritten(saved, renamed(name))
    with pytest.raises(FileError, match="leads out of its folder"):
        FORMAT.read(saved)


def test_twins_overlaps_and_bombs_are_refused(saved: Path) -> None:
    original = saved.read_bytes()
    with pytest.warns(UserWarning, match="Duplicate name"):
        rewritten(saved, renamed("model/data/0"))
    with pytest.raises(FileError, match="twice"):
        FORMAT.read(saved)
    saved.write_bytes(original)
    with zipfile.ZipFile(saved) as archive:
        first, second = (archive.getinfo(f"model/data/{key}") for key in "01")
    moved = original.replace(struct.pack("<I", second.header_offset), struct.pack("<I", first.header_offset))
    saved.write_bytes(moved)
    with pytest.raises(FileError, match="there is another one at its offset"):
        FORMAT.read(saved)
    entry_of_first = original.rindex(b"model/data/0") - 46
    sizes = struct.pack("<II", first.file_size + 200, first.file_size + 200)
    saved.write_bytes(original[: entry_of_first + 20] + sizes + original[entry_of_first + 28 :])
    with pytest.raises(FileError, match="'model/data/0' and 'model/data/1' overlap"):
        FORMAT.read(saved)
    saved.write_bytes(original)
    rewritten(saved, lambda records: {**records, "model/data/0": bytes(2**28)}.items(), zipfile.ZIP_DEFLATED)
    with FORMAT.read(saved) as checkpoint, pytest.raises(FileError, match="far more than the file has"):
        checkpoint.tensors["embedding.weight"].read()


@pytest.mark.parametrize("zipped", [True, False])
def test_files_that_are_cut_off_are_refused_wherever(tmp_path: Path, *, zipped: bool) -> None:
    whole, cut = tmp_path / "whole.pt", tmp_path / "cut.pt"
    torch.save(torch.nn.GRU(3, 4).state_dict(), whole, _use_new_zipfile_serialization=zipped)
    data = whole.read_bytes()
    for length in [*range(0, len(data) - 1, 37), len(data) - 1]:
        cut.write_bytes(data[:length])
        with pytest.raises(FileError, match=r"cut\.pt"):
            FORMAT.read(cut)


def pickled(path: Path, pickle_bytes: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle_bytes)
        archive.writestr("model/data/0", bytes(16))
    return path


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n("
HUGE = b"\x8a\x08" + (2**40).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x02" + b"]" * 2**20 + b".", "far more memory"),
        (b"\x80\x02" + b"(" * 2**20 + b".", "far more memory"),
        (b"\x80\x02]q\x00" + b"".join(b"]q%c(h%ch%ce" % (n, n - 1, n - 1) for n in range(1, 40)) + b".", "far more"),
        (b"\x80\x02}(" + b")" + b"\x85" * 300_000 + b"Nu.", None),
        (
            b"\x80\x02}X\x01\x00\x00\x00a" + REBUILD + STORAGE + b"K\x00" + HUGE + b"\x85K\x00\x85\x89NtRs.",
            "far more than",
        ),
        (b"\x80\x02}X\x01\x00\x00\x00a" + REBUILD + STORAGE + b"K\x02K\x03\x85K\x01\x85\x89NtRs.", "outside of it"),
        (b"\x80\x02ctorch\nTensor\n" + HUGE + b"\x85R.", None),
        (b"\x80\x02cbuiltins\nbytearray\n" + HUGE + b"\x85R.", None),
        (b"\x80\x02X\xff\xff\xff\xffa.", "damaged pickle"),
        (b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.", "posix.system"),
    ],
)
def test_pickles_that_are_bombs_take_no_memory(tmp_path: Path, data: bytes, message: str | None) -> None:
    path = pickled(tmp_path / "bomb.pt", data)
    reset_peak()
    before = peak()
    with pytest.raises(FileError, match=message) if message else nullcontext():
        FORMAT.read(path)
    assert peak() - before <= 10 * path.stat().st_size + 64 * 2**20


def test_tensors_are_views_of_the_file(tmp_path: Path) -> None:
    torch.save({"large": torch.zeros(2**24)}, tmp_path / "large.pt")
    tracemalloc.start()
    try:
        with FORMAT.read(tmp_path / "large.pt") as checkpoint:
            values = checkpoint.tensors["large"].read()
            assert values.shape == (2**24,)
            assert not values.flags.writeable
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_large_and_borrowed_values_are_written_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LARGE", 100)
    values = np.random.default_rng(0).normal(size=(9, 10)).astype(ml_dtypes.bfloat16)
    borrowed = np.frombuffer(b"?" + np.arange(60, dtype=np.float32).tobytes(), np.float32, 60, 1).reshape(6, 10).T[::-1]
    view = Entry("view", borrowed.shape, borrowed.dtype, entry("view", borrowed).fill, lambda: borrowed)
    FORMAT.write(tmp_path / "out.pt", Contents((entry("large", values), view), ()))
    found = torch.load(tmp_path / "out.pt", weights_only=True)
    assert bits_of(found["large"]) == ("bfloat16", (9, 10), values.tobytes())
    assert found["view"].numpy().tobytes() == borrowed.tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out.pt"]


def written(path: str, module: Any) -> WrittenGRU:
    values = {name: each.detach().numpy() for name, each in module.state_dict().items()}
    arrays = {name: entry(f"{path}.{name}", each) for name, each in values.items()}
    return WrittenGRU(path, "torch", arrays, True, Sizes(3, 4), True)  # noqa: FBT003  in the order of its fields


@pytest.mark.parametrize("path", ["encoder", "elsewhere"])
def test_a_template_keeps_every_other_tensor_and_its_containers(tmp_path: Path, path: str) -> None:
    model, module = (
        torch.nn.ModuleDict({"encoder": torch.nn.GRU(3, 4), "head": torch.nn.Linear(4, 2)}),
        torch.nn.GRU(3, 4),
    )
    torch.save({"model": model.state_dict(), "ema": [torch.ones(2)]}, tmp_path / "old.pt")
    with FORMAT.read(tmp_path / "old.pt") as template:
        new = Contents((), (written(f"model/{path}", module),), template=template)
        FORMAT.write(tmp_path / "new.pt", new)
    saved = torch.load(tmp_path / "new.pt", weights_only=True)
    expected = {
        **model.state_dict(),
        **{f"encoder.{name}": values for name, values in module.state_dict().items()},
    }
    assert list(saved["model"]) == list(expected)
    assert {name: bits_of(values) for name, values in saved["model"].items()} == {
        name: bits_of(values) for name, values in expected.items()
    }
    assert [bits_of(values) for values in saved["ema"]] == [bits_of(torch.ones(2))]


def test_a_template_that_does_not_fit_or_would_lose_something_is_refused(tmp_path: Path) -> None:
    two = torch.nn.ModuleDict({"a": torch.nn.GRU(3, 4), "b": torch.nn.GRU(3, 5)})
    torch.save(two.state_dict(), tmp_path / "two.pt")
    torch.save({"model": two.state_dict(), "epoch": 7}, tmp_path / "run.pt")
    new = torch.nn.GRU(3, 4)
    for name, path, message in (
        ("two.pt", "c", "c: no GRU of that path is in the template, which has a, b"),
        ("two.pt", "b", r"weight_hh_l0 is float32 \(12, 4\), in the template float32 \(15, 5\)"),
        ("run.pt", "model/a", "epoch is no tensor: int 7, and tensors alone can be written"),
    ):
        with FORMAT.read(tmp_path / name) as template, pytest.raises(RefusedFile, match=message):
            FORMAT.write(tmp_path / "new.pt", Contents((), (written(path, new),), template=template))
    assert not (tmp_path / "new.pt").exists()


def test_what_pytorch_cannot_hold_is_refused(tmp_path: Path) -> None:
    for values in (np.array(["text"]), np.zeros(2, ">f4"), np.zeros(2, np.longdouble)):
        assert "dtype" in str(FORMAT.refuses(entry("a", values)))
        with pytest.raises(RefusedFile, match=r"tensor 'a' has the dtype"):
            FORMAT.write(tmp_path / "out.pt", contents({"a": values}))
    twice = Contents((entry("a", np.ones(2)), entry("a", np.ones(2))), ())
    with pytest.raises(RefusedFile, match="twice"):
        FORMAT.write(tmp_path / "out.pt", twice)
    assert not (tmp_path / "out.pt").exists()


def test_reading_imports_no_framework(saved: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gruspec_torch.files import TorchFormat;"
        f"checkpoint = TorchFormat().read(Path({str(saved)!r}));"
        "[tensor.read() for tensor in checkpoint.tensors.values()];"
        "print(len(checkpoint.grus), 'torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["2", "False"]


def test_mutated_files_are_refused_or_read_and_nothing_else(tmp_path: Path, model: Any) -> None:
    state = model.state_dict()
    torch.save(state, tmp_path / "zip.pt")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "nested.pt", pickle_protocol=4)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "unchecked.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    for file in sorted(tmp_path.iterdir()):
        alone = tmp_path / file.stem / file.name
        alone.parent.mkdir()
        file.rename(alone)
        report = damaged_reads(alone, "torch", 125, seed=1, checked=file.stem in ("zip", "nested"))
        assert report["wrong"] == []
        assert report["imported"] == []
        assert report["refused"] > 50
