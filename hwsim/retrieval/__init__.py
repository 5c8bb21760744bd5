"""Scanning codes in hardware: a binary-scan engine, servers and GPUs on the same queries, in closed form and events."""

from hwsim.retrieval.device import ScanDevice
from hwsim.retrieval.engine import (
    MEMORIES,
    UNITS,
    Memory,
    ScanEngine,
    document_cycles,
    engine_areas_mm2,
    engine_device,
    lane_transistors,
    load_engine,
    matching_lanes,
)
from hwsim.retrieval.front import SCANNERS, TECHNOLOGY, read_engine, scan_device, scan_index
from hwsim.retrieval.index import ScanIndex
from hwsim.retrieval.processors import Gpu, GpuScan, Server, gpu_device, load_gpu_scan, load_server, server_device
from hwsim.retrieval.published import published_scanners
from hwsim.retrieval.scan import RESOURCES, ScanResult, expected_insertions, simulate_scan
from hwsim.retrieval.service import LostShard, ScanService, serve_scan
from hwsim.retrieval.validate import ScanValidation, validate_cpu

__all__ = [
    "MEMORIES",
    "RESOURCES",
    "SCANNERS",
    "TECHNOLOGY",
    "UNITS",
    "Gpu",
    "GpuScan",
    "LostShard",
    "Memory",
    "ScanDevice",
    "ScanEngine",
    "ScanIndex",
    "ScanResult",
    "ScanService",
    "ScanValidation",
    "Server",
    "document_cycles",
    "engine_areas_mm2",
    "engine_device",
    "expected_insertions",
    "gpu_device",
    "lane_transistors",
    "load_engine",
    "load_gpu_scan",
    "load_server",
    "matching_lanes",
    "published_scanners",
    "read_engine",
    "scan_device",
    "scan_index",
    "serve_scan",
    "server_device",
    "simulate_scan",
    "validate_cpu",
]
