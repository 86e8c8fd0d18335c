package docker

import (
	"archive/tar"
	"encoding/json"
	"io"
	"os"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// containerConfig is the least that a container needs that is never started: the engine
// wants a command all the same.
func containerConfig(image string) *container.Config {
	return &container.Config{Image: image, Cmd: []string{"true"}}
}

// history is an entry of an image's history, one for each of its layers.
type history struct {
	Created   string `json:"created,omitempty"`
	CreatedBy string `json:"created_by,omitempty"`
	Author    string `json:"author,omitempty"`
	Comment   string `json:"comment,omitempty"`
}

// writeImage writes an image in the form that `docker load` reads (Docker Image
// Specification v1.2): the configuration of info, lower layers that the engine has, which
// are named and not sent, and one layer above them.
func writeImage(
	w io.Writer, lower []string, info client.ImageInspectResult, diffID string, layer *os.File, name string,
) error {
	type object = map[string]any
	entries := []history{}
	for range lower {
		entries = append(entries, history{Created: info.Created, CreatedBy: "source image"})
	}
	entries = append(entries, history{Created: info.Created, Author: info.Author, Comment: info.Comment})
	config, err := json.Marshal(object{
		"architecture": info.Architecture, "variant": info.Variant, "os": info.Os, "os.version": info.OsVersion,
		"author": info.Author, "comment": info.Comment, "created": info.Created, "config": info.Config, "history": entries,
		"rootfs": object{"type": "layers", "diff_ids": append(append([]string{}, lower...), diffID)},
	})
	if err != nil {
		return err
	}
	paths := []string{}
	for range lower {
		paths = append(paths, "lower/layer.tar")
	}
	manifest, err := json.Marshal([]object{{
		"Config": "config.json", "RepoTags": []string{name}, "Layers": append(paths, "upper/layer.tar"),
	}})
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for name, text := range map[string][]byte{"manifest.json": manifest, "config.json": config} {
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	size, err := layer.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "upper/layer.tar", Mode: 0o644, Size: size}); err != nil {
		return err
	}
	if _, err := io.Copy(out, layer); err != nil {
		return err
	}
	return out.Close()
}
