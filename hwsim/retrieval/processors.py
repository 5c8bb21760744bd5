"""Servers and GPUs that scan codes in software: rooflines of memory and comparison, from their books."""

from dataclasses import dataclass

import numpy as np

from hwbase import Record, load_book
from hwbase.books import Reader, check_fields, from_book, sourced
from hwbase.check import Number
from hwsim.retrieval.device import ScanDevice
from hwsim.retrieval.index import ScanIndex
from hwsim.technology import BOOKS

CPU_BOOK, GPU_BOOK, GPU_SCAN_BOOK = "epyc-9755", "h100", "h100-scan"


@dataclass(frozen=True)
class Server(Record):
    """A server whose cores scan slices of the codes in parallel; all queries scan a block while it is cached."""

    name: str
    cores: Number = sourced("1", low=1.0, high=1e6, whole=True)
    memory_bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    memory_efficiency: Number = sourced("1", above=0.0, high=1.0)
    core_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e15)
    random_efficiency: Number = sourced("1", above=0.0, high=1.0)
    access_bytes: Number = sourced("B", low=1.0, high=1e9)
    memory_bytes: Number = sourced("B", above=0.0, high=1e18)
    memory_share: Number = sourced("1", above=0.0, high=1.0)
    popcount_bits_per_s: Number = sourced("1/s", above=0.0, high=1e18)
    parallel_efficiency: Number = sourced("1", above=0.0, high=1.0)
    insert_s: Number = sourced("s", low=0.0, high=1.0)
    launch_s: Number = sourced("s", low=0.0, high=1e3)
    slots: Number = sourced("1", low=1.0, high=1e6, whole=True)
    power_w: Number = sourced("W", above=0.0, high=1e9)
    link_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e15)
    link_latency_s: Number = sourced("s", low=0.0, high=1e3)
    fan_in: Number = sourced("1", low=2.0, high=1e6)

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))


@dataclass(frozen=True)
class Gpu(Record):
    """A GPU that scans codes, by population counts or, as odd integers of int8, by a matrix product."""

    name: str
    memory_bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    memory_bytes: Number = sourced("B", above=0.0, high=1e18)
    area_mm2: Number = sourced("mm**2", above=0.0, high=1e6)
    power_w: Number = sourced("W", above=0.0, high=1e9)


@dataclass(frozen=True)
class GpuScan(Record):
    """Constants of scanning on a GPU besides its data sheet."""

    popcount_bits_per_s: Number = sourced("1/s", above=0.0, high=1e20)
    int8_ops_per_s: Number = sourced("1/s", above=0.0, high=1e20)
    memory_efficiency: Number = sourced("1", above=0.0, high=1.0)
    compute_efficiency: Number = sourced("1", above=0.0, high=1.0)
    random_efficiency: Number = sourced("1", above=0.0, high=1.0)
    access_bytes: Number = sourced("B", low=1.0, high=1e9)
    memory_share: Number = sourced("1", above=0.0, high=1.0)
    multiprocessors: Number = sourced("1", low=1.0, high=1e6, whole=True)
    insert_s: Number = sourced("s", low=0.0, high=1.0)
    launch_s: Number = sourced("s", low=0.0, high=1e3)
    slots: Number = sourced("1", low=1.0, high=1e6, whole=True)
    link_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e15)
    link_latency_s: Number = sourced("s", low=0.0, high=1e3)
    fan_in: Number = sourced("1", low=2.0, high=1e6)


def load_server(name_or_path: str = CPU_BOOK, reader: Reader | None = None) -> Server:
    """Return the `Server` of a book; `reader` records constants. Raises `InputError`."""
    reader = reader or load_book(name_or_path, BOOKS).reader()
    return from_book(Server, reader, name=reader.book.name)


def load_gpu_scan(readers: tuple[Reader, Reader] | None = None) -> tuple[Gpu, GpuScan]:
    """Return the H100 and its scanning constants; `readers` (data sheet, scanning) record constants."""
    sheet, scan = readers or (load_book(GPU_BOOK, BOOKS).reader(), load_book(GPU_SCAN_BOOK, BOOKS).reader())
    return from_book(Gpu, sheet, name=sheet.book.name), from_book(GpuScan, scan)


def server_device(server: Server, index: ScanIndex, *, cores: Number | None = None) -> ScanDevice:
    """Return the rates of a server for `index`: the smaller of its cores' streams and its memory's, and popcounts.

    A roofline (Williams, Waterman and Patterson, CACM 52(4), 2009). `cores` uses fewer cores; a single core keeps its
    full rate. Power is the whole server's, busy or not.
    """
    used = np.asarray(server.cores if cores is None else cores, dtype=float)
    shared = np.where(used > 1.0, server.parallel_efficiency, 1.0)
    bandwidth = server.memory_bandwidth_bytes_per_s
    return ScanDevice(
        name=server.name,
        stream_bytes_per_s=np.minimum(used * server.core_bytes_per_s, bandwidth * server.memory_efficiency),
        random_bytes_per_s=np.minimum(used * server.core_bytes_per_s, bandwidth) * server.random_efficiency,
        access_bytes=server.access_bytes,
        memory_bytes=server.memory_bytes * server.memory_share,
        slots=server.slots,
        comparisons_per_s=used * server.popcount_bits_per_s * shared / index.compared_bits,
        heaps=1,
        slices=used,
        insert_s=server.insert_s,
        start_s=np.where(used > 1.0, server.launch_s, 0.0),
        link_bytes_per_s=server.link_bytes_per_s,
        link_latency_s=server.link_latency_s,
        fan_in=server.fan_in,
        standing_w=server.power_w,
        area_mm2=np.nan,
    )


def gpu_device(gpu: Gpu, scan: GpuScan, index: ScanIndex) -> ScanDevice:
    """Return the rates of a GPU for `index`: memory, and the faster of population counts and an int8 product.

    The product takes two operations a dimension for any number of planes. Power is the GPU's with its share of the
    node.
    """
    counts = scan.popcount_bits_per_s / index.compared_bits
    products = scan.int8_ops_per_s / (2.0 * index.dims)
    return ScanDevice(
        name=gpu.name,
        stream_bytes_per_s=gpu.memory_bandwidth_bytes_per_s * scan.memory_efficiency,
        random_bytes_per_s=gpu.memory_bandwidth_bytes_per_s * scan.random_efficiency,
        access_bytes=scan.access_bytes,
        memory_bytes=gpu.memory_bytes * scan.memory_share,
        slots=scan.slots,
        comparisons_per_s=np.maximum(counts, products) * scan.compute_efficiency,
        heaps=1,
        slices=scan.multiprocessors,
        insert_s=scan.insert_s,
        start_s=scan.launch_s,
        link_bytes_per_s=scan.link_bytes_per_s,
        link_latency_s=scan.link_latency_s,
        fan_in=scan.fan_in,
        standing_w=gpu.power_w,
        area_mm2=gpu.area_mm2,
        comparison="int8 product" if np.all(products >= counts) else "popcount",
    )
