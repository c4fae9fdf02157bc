// Package sidecartest runs sidecars for tests: the one that answers by tests/vectors/clients.json, and
// the real one.
package sidecartest

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Process is a running sidecar.
type Process struct {
	// Address is for jwtsidecar.New.
	Address string
	command *exec.Cmd
	// The scripted sidecar ends with its standard input, so none outlives the tests.
	stdin io.Closer
}

// Scripted starts tests/clients/scripted.py at an address, by default a free port.
func Scripted(address ...string) (*Process, error) {
	process, said, err := start(append([]string{"tests/clients/scripted.py"}, address...)...)
	if err != nil {
		return nil, err
	}
	process.Address = said
	return process, nil
}

// Real starts the sidecar with tests/clients/sidecar.yaml in a directory whose path is short enough for a
// socket.
func Real(directory string) (*Process, error) {
	settings, err := os.ReadFile(filepath.Join(Top(), "tests/clients/sidecar.yaml"))
	if err != nil {
		return nil, err
	}
	config := filepath.Join(directory, "sidecar.yaml")
	if err := os.WriteFile(config, settings, 0o600); err != nil {
		return nil, err
	}
	process, _, err := start("-m", "sidecar", "serve", "--config", config)
	if err != nil {
		return nil, err
	}
	process.Address = "unix:" + filepath.Join(directory, "sidecar.sock")
	return process, nil
}

// Kill ends the process at once, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.command.Process.Kill()
	_ = p.stdin.Close()
	_ = p.command.Wait()
}

// Top is the directory of the repository.
func Top() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../../../..")
}

// start returns the first line that the process says, which both sidecars say when they listen.
func start(arguments ...string) (*Process, string, error) {
	python := cmp.Or(os.Getenv("SIDECAR_PYTHON"), filepath.Join(Top(), ".venv/bin/python"))
	command := exec.Command(python, arguments...)
	command.Dir = Top()
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := command.Start(); err != nil {
		return nil, "", fmt.Errorf("%w: run make setup at the top, or set SIDECAR_PYTHON", err)
	}
	process := &Process{command: command, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		process.Kill()
		return nil, "", fmt.Errorf("%s ended before it listened: %w", strings.Join(arguments, " "), err)
	}
	return process, strings.TrimSpace(line), nil
}
