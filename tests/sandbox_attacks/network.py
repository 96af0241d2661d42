"""Attacks on the network and on services of this machine."""
import socket


def tcp_connect():
    return socket.create_connection(("127.0.0.1", TARGET["tcp"]), 5).recv(5) == b"hello"


def udp_send():
    pair = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return pair.sendto(b"x", ("127.0.0.1", TARGET["udp"])) == 1


def abstract_socket():
    it = socket.socket(socket.AF_UNIX)
    it.connect("\0" + TARGET["abstract"])
    return True


def path_socket():
    it = socket.socket(socket.AF_UNIX)
    it.connect(TARGET["path_socket"])
    return True


def datagram_through_a_pair():
    # A connected pair needs no `connect`, but could still name another receiver.
    mine, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return mine.sendto(b"x", TARGET["datagram_socket"]) == 1


def resolve_name():
    return bool(socket.getaddrinfo("localhost", 80))


def listen():
    it = socket.socket()
    it.bind(("127.0.0.1", 0))
    it.listen()
    return True


def netlink():
    return bool(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
