// SPDX-License-Identifier: Apache-2.0
//
// The floor of `make bench-ttrpc`: what the kernel and the client cost by themselves.
//
// It serves the echoes of peer.v1.Echo on a unix socket with nothing but frames: it finds
// the method and the payload in a request and copies the payload into the answer. It knows
// no deadlines, no limits, no errors and one upload at a time; frames that it does not
// understand end it. Prints "ready" when it listens and ends when its standard input does.

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEADER = 10, FRAME_MAX = HEADER + (4 << 20), FULL = 256 << 10, ROOM = 64 };
enum { REQUEST = 1, RESPONSE = 2, DATA = 3 };
enum { REMOTE_CLOSED = 1, NO_DATA = 4 };
enum { METHOD = 2, PAYLOAD = 3 }; // of a ttrpc request
enum { ANSWER = 2 };              // the payload of a ttrpc response

struct bytes {
    const uint8_t *start;
    size_t size;
};

struct connection {
    int socket;
    uint8_t *out; // answers that are not written yet
    size_t waiting;
    uint32_t upload; // the stream that uploads
    uint64_t messages, size;
};

static void fail(const char *what) {
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static uint64_t varint(const uint8_t **at, const uint8_t *end) {
    uint64_t value = 0;
    for (int shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    fail("bad varint");
    return 0;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        *at++ = value | 0x80;
    *at++ = value;
    return at;
}

// Returns a field of a protobuf message that has varints and byte strings only.
// The value of a varint goes to `number`.
static struct bytes field(struct bytes message, unsigned wanted, uint64_t *number) {
    const uint8_t *at = message.start, *end = at + message.size;
    struct bytes found = {NULL, 0};
    while (at < end) {
        uint64_t key = varint(&at, end), value = varint(&at, end);
        if ((key & 7) == 2) {
            if (value > (uint64_t)(end - at))
                fail("bad length");
            if (key >> 3 == wanted)
                found = (struct bytes){at, value};
            at += value;
        } else if ((key & 7) != 0) {
            fail("bad wire type");
        } else if (key >> 3 == wanted && number) {
            *number = value;
        }
    }
    return found;
}

// Writes the answers. A peer that has gone does not get them: the next recv tells.
static void flush(struct connection *peer) {
    for (size_t done = 0; done < peer->waiting;) {
        ssize_t written = send(peer->socket, peer->out + done, peer->waiting - done, MSG_NOSIGNAL);
        if (written <= 0)
            break;
        done += written;
    }
    peer->waiting = 0;
}

// Begins a frame with room for `size` bytes and returns where they go.
static uint8_t *frame(struct connection *peer, uint32_t stream, int type, int flags, size_t size) {
    if (peer->waiting + HEADER + size > FULL)
        flush(peer);
    uint8_t *at = peer->out + peer->waiting;
    for (int i = 0; i < 4; i++) {
        at[i] = size >> (24 - 8 * i);
        at[4 + i] = stream >> (24 - 8 * i);
    }
    at[8] = type;
    at[9] = flags;
    peer->waiting += HEADER + size;
    return at + HEADER;
}

static void answer(struct connection *peer, uint32_t stream, struct bytes payload) {
    uint8_t prefix[12] = {ANSWER << 3 | 2}, *end = put_varint(prefix + 1, payload.size);
    size_t before = payload.size ? end - prefix : 0;
    uint8_t *at = frame(peer, stream, RESPONSE, 0, before + payload.size);
    memcpy(at, prefix, before);
    if (payload.size)
        memcpy(at + before, payload.start, payload.size);
}

static void download(struct connection *peer, uint32_t stream, struct bytes request) {
    uint64_t wanted = 0;
    field(request, 1, &wanted);
    size_t size = wanted & 0xffffffff;
    uint8_t prefix[12] = {1 << 3 | 2}, *end = put_varint(prefix + 1, size);
    size_t before = size ? end - prefix : 0;
    for (uint64_t left = wanted >> 32; left; left--) {
        uint8_t *at = frame(peer, stream, DATA, 0, before + size);
        memcpy(at, prefix, before);
        memset(at + before, 0, size);
    }
    frame(peer, stream, DATA, REMOTE_CLOSED | NO_DATA, 0);
}

static void end_upload(struct connection *peer) {
    uint8_t total[16] = {1 << 3};
    uint8_t *end = put_varint(total + 1, peer->messages << 32 | (peer->size & 0xffffffff));
    answer(peer, peer->upload, (struct bytes){total, end - total});
    peer->upload = 0;
}

static int is(struct bytes name, const char *wanted) {
    return name.size == strlen(wanted) && !memcmp(name.start, wanted, name.size);
}

static void on_request(struct connection *peer, uint32_t stream, struct bytes body) {
    struct bytes method = field(body, METHOD, NULL), payload = field(body, PAYLOAD, NULL);
    if (is(method, "Echo")) {
        answer(peer, stream, payload);
    } else if (is(method, "Download")) {
        download(peer, stream, payload);
    } else if (is(method, "Upload")) {
        peer->upload = stream;
        peer->messages = peer->size = 0;
    } else if (!is(method, "EchoStream")) {
        fail("unknown method");
    }
}

static void on_data(struct connection *peer, uint32_t stream, int flags, struct bytes body) {
    if (stream == peer->upload) {
        if (!(flags & NO_DATA)) {
            peer->messages++;
            peer->size += field(body, 1, NULL).size;
        }
        if (flags & REMOTE_CLOSED)
            end_upload(peer);
        return;
    }
    if (!(flags & NO_DATA))
        memcpy(frame(peer, stream, DATA, 0, body.size), body.start, body.size);
    if (flags & REMOTE_CLOSED)
        frame(peer, stream, DATA, REMOTE_CLOSED | NO_DATA, 0);
}

static uint32_t number(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

// Handles the whole frames among `size` bytes; returns how many bytes they are.
static size_t handle(struct connection *peer, const uint8_t *in, size_t size) {
    size_t done = 0;
    while (size - done >= HEADER) {
        const uint8_t *at = in + done;
        uint32_t length = number(at), stream = number(at + 4);
        if (length > FRAME_MAX - HEADER)
            fail("frame too long");
        if (size - done - HEADER < length)
            break;
        struct bytes body = {at + HEADER, length};
        if (at[8] == REQUEST)
            on_request(peer, stream, body);
        else if (at[8] == DATA)
            on_data(peer, stream, at[9], body);
        else
            fail("unknown frame");
        done += HEADER + length;
    }
    return done;
}

static void *serve(void *argument) {
    struct connection peer = {.socket = (int)(intptr_t)argument};
    uint8_t *in = malloc(FRAME_MAX);
    // One frame may be longer than what is written at once.
    peer.out = malloc(FULL + FRAME_MAX + ROOM);
    if (!in || !peer.out)
        fail("no memory");
    size_t have = 0;
    for (;;) {
        ssize_t received = recv(peer.socket, in + have, FRAME_MAX - have, 0);
        if (received <= 0)
            break;
        have += received;
        size_t done = handle(&peer, in, have);
        flush(&peer);
        have -= done;
        memmove(in, in + done, have);
    }
    close(peer.socket);
    free(in);
    free(peer.out);
    return NULL;
}

static void *accept_all(void *argument) {
    for (;;) {
        int socket = accept((int)(intptr_t)argument, NULL, NULL);
        pthread_t thread;
        if (socket < 0 || pthread_create(&thread, NULL, serve, (void *)(intptr_t)socket))
            fail("cannot accept");
        pthread_detach(thread);
    }
    return NULL;
}

int main(int count, char **arguments) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (count != 2 || strlen(arguments[1]) >= sizeof address.sun_path)
        fail("usage: floor PATH");
    strcpy(address.sun_path, arguments[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) ||
        listen(listener, 16))
        fail("cannot listen");
    pthread_t thread;
    if (pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)listener))
        fail("no thread");
    puts("ready");
    fflush(stdout);
    char rest[64];
    while (read(0, rest, sizeof rest) > 0) {
    }
    return 0;
}
