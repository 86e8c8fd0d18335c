package docker

import (
	"strings"
	"testing"

	"kiln"
)

func TestAccept(t *testing.T) {
	err := Accept(&kiln.Artifact{Builder: "packer.file"}, "docker-tag", ImportID)
	if err == nil || !strings.Contains(err.Error(), "Unknown artifact type: packer.file") {
		t.Errorf("got %v", err)
	}
}
