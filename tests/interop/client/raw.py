"""HTTP/2 by hand: what no gRPC library sends. Only header compression is a library's."""

import socket
import ssl
import struct

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
SECONDS = 30


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**named):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", globals()[key], value) for key, value in named.items()))


def window_update(stream, size):
    return frame(WINDOW_UPDATE, stream=stream, payload=struct.pack(">I", size))


def reset(stream):
    return frame(RST_STREAM, stream=stream, payload=struct.pack(">I", 8))


def message(data, flag=0):
    """A gRPC message with its prefix."""
    return struct.pack(">BI", flag, len(data)) + data


def one_by_one(data):
    return [data[at:at + 1] for at in range(len(data))]


class Answer:
    """What came back on one stream."""

    def __init__(self):
        self.headers = {}
        self.frames = []
        self.ended = False
        self.reset = None
        self.sent = 0
        self.granted = 0

    @property
    def body(self):
        return b"".join(self.frames)

    @property
    def status(self):
        return self.headers.get("grpc-status")

    def messages(self):
        found, body = [], self.body
        while body:
            assert body[0] == 0, "A compressed message"
            size = struct.unpack(">I", body[1:5])[0]
            assert len(body) >= 5 + size, "Half a message"
            found.append(body[5:5 + size])
            body = body[5 + size:]
        return found


class Connection:
    """One connection. `settled` is what it tells the server of its limits."""

    def __init__(self, grid, **settled):
        host, port = grid.endpoint.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._scheme = "http"
        if grid.tls is not None:
            context = ssl.create_default_context(cafile=grid.tls["ca"])
            if grid.tls.get("cert"):
                context.load_cert_chain(grid.tls["cert"], grid.tls["key"])
            context.set_alpn_protocols(["h2"])
            self._socket = context.wrap_socket(self._socket, server_hostname=host)
            self._scheme = "https"
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder()
        self._unread = b""
        self._next = 1
        self.answers = {}
        self.pongs = {}
        self.gone = None
        self.initial_window = 65_535
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settings(**settled))
        # Until the server's settings have come, its windows are HTTP/2's defaults.
        self.ping()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, *parts):
        self._socket.sendall(b"".join(parts))

    def encoded(self, path, *more):
        """The header block of a call."""
        fixed = [(":method", "POST"), (":scheme", self._scheme), (":path", path), (":authority", "grid"),
                 ("te", "trailers"), ("content-type", "application/grpc")]
        given = dict(more)
        return self._encoder.encode([(key, given.pop(key, value)) for key, value in fixed] + list(given.items()))

    def stream(self):
        """A new stream's number."""
        self._next += 2
        self.answers[self._next - 2] = Answer()
        return self._next - 2

    def open(self, path, *more):
        """Begins a call: its stream."""
        stream = self.stream()
        self.send(frame(HEADERS, END_HEADERS, stream, self.encoded(path, *more)))
        return stream

    def upload(self, stream, *payloads):
        """Sends all of a request, no faster than the stream's window allows: it is smaller while others upload much."""
        answer = self.answers[stream]
        for payload in payloads:
            while answer.sent + len(payload) > self.initial_window + answer.granted and not answer.ended:
                assert self.read_frame() is not None, "The server closed the connection"
            if answer.ended:
                return
            answer.sent += len(payload)
            self.send(frame(DATA, 0, stream, payload))
        self.send(frame(DATA, END_STREAM, stream))

    def call(self, path, request, *more):
        """A call from its first byte to its last."""
        stream = self.open(path, *more)
        self.send(frame(DATA, END_STREAM, stream, message(request)))
        return self.finish(stream)

    def read_frame(self):
        """Reads one frame and does what every peer must; None when the server has closed."""
        while len(self._unread) < 9 or len(self._unread) < 9 + int.from_bytes(self._unread[:3], "big"):
            try:
                data = self._socket.recv(1 << 16)
            except (ConnectionError, ssl.SSLError):
                data = b""
            if not data:
                return None
            self._unread += data
        size = int.from_bytes(self._unread[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self._unread[3:9])
        payload, self._unread = self._unread[9:9 + size], self._unread[9 + size:]
        self._take(kind, flags, stream, payload)
        return kind, flags, stream, payload

    def _take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            for key, value in struct.iter_unpack(">HI", payload):
                if key == INITIAL_WINDOW_SIZE:
                    self.initial_window = value
            self.send(frame(SETTINGS, ACK))
        elif kind == PING and flags & ACK:
            self.pongs[payload] = self.pongs.get(payload, 0) + 1
        elif kind == PING:
            self.send(frame(PING, ACK, payload=payload))
        elif kind == GOAWAY:
            self.gone = struct.unpack(">I", payload[4:8])[0]
        if stream not in self.answers:
            return
        answer = self.answers[stream]
        if kind == HEADERS:
            assert flags & END_HEADERS and not flags & (PADDED | WITH_PRIORITY)
            answer.headers.update(self._decoder.decode(payload))
        elif kind == DATA:
            answer.frames.append(payload)
        elif kind == WINDOW_UPDATE:
            answer.granted += struct.unpack(">I", payload)[0]
        elif kind == RST_STREAM:
            answer.reset = struct.unpack(">I", payload)[0]
            answer.ended = True
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            answer.ended = True

    def finish(self, stream):
        """Reads until a stream has ended: its answer."""
        while not self.answers[stream].ended:
            assert self.read_frame() is not None, "The server closed the connection"
        return self.answers[stream]

    def until_closed(self):
        """Reads until the server has closed: the code of its GOAWAY."""
        while self.read_frame() is not None:
            pass
        return self.gone

    def ping(self):
        """Waits for the answer to a ping: all that came before has been read by the server."""
        before = self.pongs.get(b"in order", 0)
        self.send(frame(PING, payload=b"in order"))
        while self.pongs.get(b"in order", 0) == before:
            assert self.read_frame() is not None, "The server closed the connection"
