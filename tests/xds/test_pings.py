"""A connection that is alive stays, however late its pings arrive."""

from __future__ import annotations

import asyncio

import h2.connection
import h2.events
from grpc import aio
from shared_helpers import run

from palisade.xds import server_options

PINGS = 12


def test_pings_that_arrive_together_are_all_answered() -> None:
    """On a busy machine they wait before the engine, or within: gRPC took the fourth for an attack, and ended
    the connection (GOAWAY, too_many_pings)."""

    async def session() -> None:
        server = aio.server(options=server_options())
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            connection = h2.connection.H2Connection()
            connection.initiate_connection()
            answered: list[bytes] = []
            for number in range(PINGS):
                connection.ping(number.to_bytes(8, "big"))
                writer.write(connection.data_to_send())
                while len(answered) <= number:
                    for event in connection.receive_data(await reader.read(1 << 16)):
                        assert not isinstance(event, h2.events.ConnectionTerminated), event
                        if isinstance(event, h2.events.PingAckReceived):
                            answered.append(event.ping_data)
            assert answered == [number.to_bytes(8, "big") for number in range(PINGS)]
            writer.close()
        finally:
            await server.stop(0)

    run(session())
