"""Finds the API without having its files: by reflection, as tools do. Python's package speaks v1alpha; the server has v1, too.

    python -m venv .venv && .venv/bin/pip install grpcio grpcio-reflection
    .venv/bin/python examples/python/reflection.py 127.0.0.1:7070
"""

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def main(target):
    channel = grpc.insecure_channel(target)
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    assert {"quartermaster.v1.AllocationService", "grpc.health.v1.Health"} <= services, services

    service = DescriptorPool(database).FindServiceByName("quartermaster.v1.AdminService")
    method = service.methods_by_name["GetStatus"]
    request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    call = channel.unary_unary(
        f"/{service.full_name}/{method.name}", request_serializer=request.SerializeToString, response_deserializer=answer.FromString
    )
    status = call(request(), timeout=5)
    assert status.state == "serving", status
    print(f"{len(services)} services; the server is {status.state}")
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7070")
