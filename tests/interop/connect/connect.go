// SPDX-License-Identifier: Apache-2.0

// Package connect turns an address into a connection or a listener.
//
// Addresses: a path, "@abstract", each with or without "unix://", and for
// Dial "hvsock:///path:port", the hybrid vsock of a virtual machine monitor.
package connect

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// Dial connects, trying again until the timeout while nobody listens.
func Dial(address string, timeout time.Duration) (net.Conn, error) {
	deadline := time.Now().Add(timeout)
	for {
		conn, err := dialOnce(address)
		if err == nil || time.Now().After(deadline) {
			return conn, err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Listen opens a unix socket.
func Listen(address string) (net.Listener, error) {
	return net.Listen("unix", strings.TrimPrefix(address, "unix://"))
}

func dialOnce(address string) (net.Conn, error) {
	rest, hybrid := strings.CutPrefix(address, "hvsock://")
	if !hybrid {
		return net.Dial("unix", strings.TrimPrefix(address, "unix://"))
	}
	colon := strings.LastIndexByte(rest, ':')
	if colon < 0 {
		return nil, fmt.Errorf("address %q: no port", address)
	}
	conn, err := net.Dial("unix", rest[:colon])
	if err != nil {
		return nil, err
	}
	if err := handshake(conn, rest[colon+1:]); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// handshake reads byte by byte, because the bytes behind the answer are ttrpc's.
func handshake(conn net.Conn, port string) error {
	if _, err := conn.Write([]byte("CONNECT " + port + "\n")); err != nil {
		return err
	}
	var line []byte
	for len(line) < 32 {
		var one [1]byte
		if _, err := conn.Read(one[:]); err != nil {
			return err
		}
		if one[0] == '\n' {
			break
		}
		line = append(line, one[0])
	}
	if !strings.HasPrefix(string(line), "OK ") {
		return fmt.Errorf("port %s: answered %q", port, line)
	}
	return nil
}
