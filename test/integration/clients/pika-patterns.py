"""One pattern with pika: pika-patterns.py PORT PATTERN QUEUE"""

import hashlib
import os
import sys
import time

import pika

port, pattern, queue = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def connect(password="guest"):
    credentials = pika.PlainCredentials("guest", password)
    return pika.BlockingConnection(
        pika.ConnectionParameters("127.0.0.1", port, credentials=credentials, blocked_connection_timeout=10)
    )


def get(channel, auto_ack=False):
    for _ in range(1000):
        method, properties, body = channel.basic_get(queue, auto_ack)
        if method:
            return method, properties, body
        time.sleep(0.001)
    raise AssertionError("no message")


def refused(act, *errors):
    try:
        act()
    except errors:
        return
    raise AssertionError("not refused")


def publish():
    for n in range(50):
        connection = connect()
        channel = connection.channel()
        channel.queue_declare(queue)
        channel.basic_publish("", queue, str(n).encode())
        channel.close()
        connection.close()
    connection = connect()
    channel = connection.channel()
    for _ in range(100):  # with close = instant the last ones may be on their way
        count = channel.queue_declare(queue, passive=True).method.message_count
        if count == 50:
            break
        time.sleep(0.05)
    assert count == 50, count
    channel.queue_delete(queue)
    connection.close()


def confirm():
    connection = connect()
    channel = connection.channel()
    channel.queue_declare(queue)
    channel.confirm_delivery()
    for n in range(100):
        channel.basic_publish("", queue, str(n).encode())
    refused(lambda: channel.basic_publish("", queue + "-none", b"x", mandatory=True), pika.exceptions.UnroutableError)
    assert channel.queue_delete(queue).method.message_count == 100
    connection.close()


def consume():
    connection = connect()
    channel = connection.channel()
    channel.queue_declare(queue)
    for n in range(20):
        channel.basic_publish("", queue, str(n).encode())
    channel.basic_qos(prefetch_count=5)
    seen = []
    for method, _, body in channel.consume(queue, inactivity_timeout=10):
        assert method, "no message"
        seen.append(int(body))
        channel.basic_ack(method.delivery_tag)
        if len(seen) == 20:
            break
    channel.cancel()
    assert seen == list(range(20)), seen
    channel.queue_delete(queue)
    connection.close()


def get_():
    connection = connect()
    channel = connection.channel()
    channel.queue_declare(queue)
    assert channel.basic_get(queue)[0] is None
    channel.basic_publish("", queue, b"x", pika.BasicProperties(message_id="id"))
    method, properties, body = get(channel)
    assert (body, properties.message_id) == (b"x", "id")
    channel.basic_nack(method.delivery_tag)
    method, _, _ = get(channel)
    assert method.redelivered
    channel.basic_ack(method.delivery_tag)
    channel.queue_delete(queue)
    connection.close()


def tx():
    connection = connect()
    channel = connection.channel()
    channel.queue_declare(queue)
    channel.tx_select()
    channel.basic_publish("", queue, b"undone")
    channel.tx_rollback()
    channel.basic_publish("", queue, b"done")
    assert channel.queue_declare(queue, passive=True).method.message_count == 0
    channel.tx_commit()
    assert get(channel, auto_ack=True)[2] == b"done"
    channel.queue_delete(queue)
    channel.tx_commit()
    connection.close()


def return_():
    connection = connect()
    channel = connection.channel()
    back = []
    channel.add_on_return_callback(lambda _channel, method, _properties, body: back.append((method.reply_code, body)))
    channel.basic_publish("", queue, b"lost", mandatory=True)
    for _ in range(100):
        connection.process_data_events(0.1)
        if back:
            break
    assert back == [(312, b"lost")], back
    connection.close()


def rpc(reply_to):
    server, client = connect(), connect()
    serving, channel = server.channel(), client.channel()
    serving.queue_declare(queue)

    def serve(_channel, method, properties, body):
        answer = pika.BasicProperties(correlation_id=properties.correlation_id)
        serving.basic_publish("", properties.reply_to, body + b"!", answer)
        serving.basic_ack(method.delivery_tag)

    serving.basic_consume(queue, serve)
    if not reply_to:
        reply_to = channel.queue_declare("", exclusive=True).method.queue
    answers = []
    channel.basic_consume(reply_to, lambda _c, _m, properties, body: answers.append((properties.correlation_id, body)), True)
    channel.basic_publish("", queue, b"ping", pika.BasicProperties(reply_to=reply_to, correlation_id="1"))
    for _ in range(100):
        server.process_data_events(0.05)
        client.process_data_events(0.05)
        if answers:
            break
    assert answers == [("1", b"ping!")], answers
    serving.queue_delete(queue)
    client.close()
    server.close()


def large():
    connection = connect()
    channel = connection.channel()
    channel.queue_declare(queue)
    body = os.urandom(5_000_000)
    channel.basic_publish("", queue, body)
    assert hashlib.sha256(get(channel, True)[2]).digest() == hashlib.sha256(body).digest()
    channel.queue_delete(queue)
    connection.close()


def wrong_password():
    refused(lambda: connect("wrong"), pika.exceptions.ProbableAuthenticationError)
    connect().close()
    refused(lambda: connect("wrong"), pika.exceptions.ProbableAuthenticationError)


def channel_error():
    connection = connect()
    channel = connection.channel()
    refused(lambda: channel.queue_declare("no-such-queue", passive=True), pika.exceptions.ChannelClosedByBroker)
    channel = connection.channel()
    channel.queue_declare(queue)
    channel.queue_delete(queue)
    connection.close()


PATTERNS = {
    "publish": publish,
    "confirm": confirm,
    "consume": consume,
    "get": get_,
    "tx": tx,
    "return": return_,
    "rpc-direct": lambda: rpc("amq.rabbitmq.reply-to"),
    "rpc-exclusive": lambda: rpc(None),
    "large": large,
    "wrong-password": wrong_password,
    "channel-error": channel_error,
}
PATTERNS[pattern]()
print("ok")
