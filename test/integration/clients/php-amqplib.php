<?php
// One pattern with php-amqplib: php-amqplib.php PORT PATTERN QUEUE
require '/usr/share/php/PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Message\AMQPMessage;

[, $port, $pattern, $queue] = $argv;

function open(string $password = 'guest'): AMQPStreamConnection {
    global $port;
    return new AMQPStreamConnection('127.0.0.1', $port, 'guest', $password);
}

function check(bool $holds, string $what): void {
    if (!$holds) {
        fwrite(STDERR, "not so: $what\n");
        exit(1);
    }
}

function refused(callable $act, int $code): void {
    try {
        $act();
    } catch (Throwable $error) {
        check($error->getCode() === $code || str_contains($error->getMessage(), (string) $code) || $code === 0,
            "code $code, but: " . get_class($error) . ' ' . $error->getCode() . ' ' . $error->getMessage());
        return;
    }
    check(false, "an error $code");
}

switch ($pattern) {
    case 'publish':
        // as a web request does: all of it, each time
        for ($n = 0; $n < 50; $n++) {
            $connection = open();
            $channel = $connection->channel();
            $channel->queue_declare($queue, false, false, false, false);
            $channel->basic_publish(new AMQPMessage("$n"), '', $queue);
            $channel->close();
            $connection->close();
        }
        $connection = open();
        $channel = $connection->channel();
        // close = instant promises no order between the last publish and another connection's question
        for ($n = 0, $count = 0; $n < 100 && $count < 50; $n++, usleep(50000))
            [, $count] = $channel->queue_declare($queue, true);
        check($count === 50, "50 messages, but $count");
        $channel->queue_delete($queue);
        $connection->close();
        break;
    case 'confirm':
        $connection = open();
        $channel = $connection->channel();
        $acked = 0;
        $channel->set_ack_handler(function () use (&$acked) { $acked++; });
        $channel->confirm_select();
        $channel->queue_declare($queue, false, false, false, false);
        for ($n = 0; $n < 100; $n++) $channel->basic_publish(new AMQPMessage("$n"), '', $queue);
        $channel->wait_for_pending_acks(10);
        check($acked === 100, "100 acks, but $acked");
        $channel->queue_delete($queue);
        $connection->close();
        break;
    case 'consume':
        $connection = open();
        $channel = $connection->channel();
        $channel->queue_declare($queue, false, false, false, false);
        for ($n = 0; $n < 20; $n++) $channel->basic_publish(new AMQPMessage("$n"), '', $queue);
        $channel->basic_qos(0, 5, false);
        $seen = [];
        $tag = $channel->basic_consume($queue, '', false, false, false, false, function ($message) use (&$seen) {
            $seen[] = $message->body;
            $message->ack();
        });
        while (count($seen) < 20) $channel->wait(null, false, 10);
        check($seen === array_map('strval', range(0, 19)), 'the messages in order');
        $channel->basic_cancel($tag);
        $channel->queue_delete($queue);
        $connection->close();
        break;
    case 'get':
        $connection = open();
        $channel = $connection->channel();
        $channel->queue_declare($queue, false, false, false, false);
        check($channel->basic_get($queue) === null, 'an empty queue');
        $channel->basic_publish(new AMQPMessage('x', ['message_id' => 'id']), '', $queue);
        for ($tries = 0; ($message = $channel->basic_get($queue)) === null && $tries < 1000; $tries++) usleep(1000);
        check($message->body === 'x' && $message->get('message_id') === 'id', 'the message');
        $message->nack(true);
        for ($tries = 0; ($message = $channel->basic_get($queue)) === null && $tries < 1000; $tries++) usleep(1000);
        check($message->isRedelivered(), 'redelivered');
        $message->ack();
        $channel->queue_delete($queue);
        $connection->close();
        break;
    case 'tx':
        $connection = open();
        $channel = $connection->channel();
        $channel->queue_declare($queue, false, false, false, false);
        $channel->tx_select();
        $channel->basic_publish(new AMQPMessage('undone'), '', $queue);
        $channel->tx_rollback();
        $channel->basic_publish(new AMQPMessage('done'), '', $queue);
        [, $count] = $channel->queue_declare($queue, true);
        check($count === 0, 'nothing before the commit');
        $channel->tx_commit();
        $message = $channel->basic_get($queue, true);
        check($message->body === 'done', 'what was committed');
        $channel->queue_delete($queue);
        $channel->tx_commit();
        $connection->close();
        break;
    case 'return':
        $connection = open();
        $channel = $connection->channel();
        $back = null;
        $channel->set_return_listener(function ($code, $text, $exchange, $key, $message) use (&$back) {
            $back = "$code $text {$message->body}";
        });
        $channel->basic_publish(new AMQPMessage('lost'), '', $queue, true);
        $channel->wait(null, false, 10);
        check($back === '312 NO_ROUTE lost', "312, but $back");
        $connection->close();
        break;
    case 'rpc-direct':
    case 'rpc-exclusive':
        $connection = open();
        $server = open();
        $serving = $server->channel();
        $serving->queue_declare($queue, false, false, false, false);
        $serving->basic_consume($queue, '', false, true, false, false, function ($request) use ($serving) {
            $serving->basic_publish(
                new AMQPMessage("{$request->body}!", ['correlation_id' => $request->get('correlation_id')]),
                '',
                $request->get('reply_to'),
            );
        });
        $channel = $connection->channel();
        $reply = 'amq.rabbitmq.reply-to';
        if ($pattern === 'rpc-exclusive') [$reply] = $channel->queue_declare('', false, false, true, false);
        $answer = null;
        $channel->basic_consume($reply, '', false, true, false, false, function ($message) use (&$answer) {
            $answer = $message->get('correlation_id') . ' ' . $message->body;
        });
        $channel->basic_publish(new AMQPMessage('ping', ['reply_to' => $reply, 'correlation_id' => '1']), '', $queue);
        $serving->wait(null, false, 10);
        while ($answer === null) $channel->wait(null, false, 10);
        check($answer === '1 ping!', "an answer, but $answer");
        $serving->queue_delete($queue);
        $connection->close();
        $server->close();
        break;
    case 'large':
        $connection = open();
        $channel = $connection->channel();
        $channel->queue_declare($queue, false, false, false, false);
        $body = random_bytes(5_000_000);
        $channel->basic_publish(new AMQPMessage($body), '', $queue);
        for ($tries = 0; ($message = $channel->basic_get($queue, true)) === null && $tries < 1000; $tries++) usleep(1000);
        check(hash('sha256', $message->body) === hash('sha256', $body), 'the body intact');
        $channel->queue_delete($queue);
        $connection->close();
        break;
    case 'wrong-password':
        refused(fn () => open('wrong'), 403);
        open()->close();
        refused(fn () => open('wrong'), 403);
        break;
    case 'channel-error':
        $connection = open();
        $channel = $connection->channel();
        refused(fn () => $channel->queue_declare('no-such-queue', true), 404);
        $channel = $connection->channel();
        $channel->queue_declare($queue, false, false, false, false);
        $channel->queue_delete($queue);
        $connection->close();
        break;
    default:
        check(false, "a pattern $pattern");
}
echo "ok\n";
