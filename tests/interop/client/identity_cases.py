"""Who may call."""

import grpc

from grid import SECONDS
from protos import re, re_grpc


def case_admitted_or_not(grid):
    """The code that a call ends with, and what is said."""
    with grid.channel() as channel:
        try:
            re_grpc.CapabilitiesStub(channel).GetCapabilities(
                re.GetCapabilitiesRequest(instance_name=grid.instance), timeout=SECONDS
            )
            re_grpc.ContentAddressableStorageStub(channel).FindMissingBlobs(
                re.FindMissingBlobsRequest(instance_name=grid.instance), timeout=SECONDS
            )
            return ["OK", ""]
        except grpc.RpcError as error:
            return [error.code().name, error.details()]
