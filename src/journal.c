/*
 * What Node's core lacks for Unix sockets.
 *
 * sendDatagram(path, bytes): sends one datagram to a unix socket, without ever waiting. Returns 0 or an errno.
 * All that it takes to speak journald's native protocol: Node has no unix datagram sockets.
 * peerCredentials(fd): [uid, gid, pid] of the process at the other end (SO_PEERCRED), or null.
 * Node-API only, so one build fits every Node; no format strings, no libsystemd, nothing is kept but the socket.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <errno.h>
#include <node_api.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int fd = -1;

static int send_datagram(const char *path, size_t path_length, const void *bytes, size_t length) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  if (path_length == 0 || path_length >= sizeof to.sun_path) return ENAMETOOLONG;
  memcpy(to.sun_path, path, path_length);
  if (fd < 0) fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  socklen_t size = offsetof(struct sockaddr_un, sun_path) + path_length + 1;
  ssize_t sent = sendto(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, size);
  return sent < 0 ? errno : 0;
}

static napi_value js_send_datagram(napi_env env, napi_callback_info info) {
  size_t argc = 2, path_length = 0, length = 0;
  napi_value argv[2], result;
  char path[sizeof((struct sockaddr_un *)0)->sun_path + 1];
  void *bytes = NULL;
  int status = EINVAL;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc == 2 &&
      napi_get_value_string_utf8(env, argv[0], path, sizeof path, &path_length) == napi_ok &&
      napi_get_buffer_info(env, argv[1], &bytes, &length) == napi_ok)
    status = send_datagram(path, path_length, bytes, length);
  return napi_create_int32(env, status, &result) == napi_ok ? result : NULL;
}

static napi_value js_peer_credentials(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1], result, value;
  int32_t peer = -1;
  struct ucred who;
  socklen_t size = sizeof who;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 1 ||
      napi_get_value_int32(env, argv[0], &peer) != napi_ok ||
      getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
    return napi_get_null(env, &result) == napi_ok ? result : NULL;
  const int64_t ids[] = {who.uid, who.gid, who.pid};
  if (napi_create_array_with_length(env, 3, &result) != napi_ok) return NULL;
  for (uint32_t i = 0; i < 3; i++)
    if (napi_create_int64(env, ids[i], &value) != napi_ok || napi_set_element(env, result, i, value) != napi_ok)
      return NULL;
  return result;
}

NAPI_MODULE_INIT() {
  napi_value function;
  if (napi_create_function(env, "peerCredentials", NAPI_AUTO_LENGTH, js_peer_credentials, NULL, &function) != napi_ok ||
      napi_set_named_property(env, exports, "peerCredentials", function) != napi_ok)
    return NULL;
  if (napi_create_function(env, "sendDatagram", NAPI_AUTO_LENGTH, js_send_datagram, NULL, &function) != napi_ok ||
      napi_set_named_property(env, exports, "sendDatagram", function) != napi_ok)
    return NULL;
  return exports;
}
