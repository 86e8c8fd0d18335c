package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"kiln"
	"kiln/driver/docker"
)

// flattened is an image that has one layer above its source, with the name that it has
// while it is owned.
type flattened struct {
	id   string
	name kiln.Resource
}

// flatten makes, of an image that stands on several layers above the source, one that
// has a single layer there, as a build without layers makes: what a later layer removed
// from an earlier one is not in it. The difference of the two file systems is taken from
// the engine's exports, and loaded as an image whose lower layers the engine has already.
func (m *machine) flatten(ctx context.Context, id string) (flat flattened, err error) {
	info, err := m.engine.ImageInspect(ctx, id)
	if err != nil {
		return flat, err
	}
	before := map[string]string{}
	err = m.exported(ctx, m.source.ID, func(h *tar.Header, content io.Reader) error {
		sum := sha256.New()
		_, err := io.Copy(sum, content)
		before[path.Clean(h.Name)] = fingerprint(h) + hex.EncodeToString(sum.Sum(nil))
		return err
	})
	if err != nil {
		return flat, fmt.Errorf("read the source image: %w", err)
	}
	dir, tmp, err := m.b.TempDir("kiln-layer-")
	if err != nil {
		return flat, err
	}
	defer func() { err = errors.Join(err, m.b.Destroy(context.WithoutCancel(ctx), tmp)) }()
	layer, err := os.Create(path.Join(dir, "layer.tar"))
	if err != nil {
		return flat, err
	}
	defer layer.Close()
	sum := sha256.New()
	spool, err := os.Create(path.Join(dir, "content"))
	if err != nil {
		return flat, err
	}
	defer spool.Close()
	if err := m.writeDifference(ctx, id, before, io.MultiWriter(layer, sum), spool); err != nil {
		return flat, fmt.Errorf("read the image: %w", err)
	}
	diffID := "sha256:" + hex.EncodeToString(sum.Sum(nil))
	flat.name = m.resource(layerPart, layerRepository+":"+partTag+kiln.RandomName(12))
	if err := m.b.Own(flat.name, func(ctx context.Context) error { return m.cfg.Reap(ctx, flat.name) }); err != nil {
		return flat, err
	}
	up := upper{info: info, name: flat.name.ID, lower: m.source.RootFS.Layers, diffID: diffID, layer: layer}
	if err := m.loadAbove(ctx, up); err != nil {
		return flat, err
	}
	made, err := m.engine.ImageInspect(ctx, flat.name.ID)
	flat.id = made.ID
	return flat, err
}

// exported walks through the file system of an image, by a container that is made for
// it and never started.
func (m *machine) exported(ctx context.Context, image string, each func(*tar.Header, io.Reader) error) error {
	r := m.resource("container", "kiln-"+m.b.Run+"-"+kiln.RandomName(8))
	if err := m.b.Own(r, func(ctx context.Context) error { return m.cfg.Reap(ctx, r) }); err != nil {
		return err
	}
	made, err := m.engine.ContainerCreate(
		ctx,
		client.ContainerCreateOptions{Name: r.ID, Config: containerConfig(image)},
	)
	if err != nil {
		return err
	}
	res, err := m.engine.ContainerExport(ctx, made.ID, client.ContainerExportOptions{})
	if err != nil {
		return err
	}
	defer res.Close()
	in := tar.NewReader(res)
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = each(h, in)
		}
		if err != nil {
			return err
		}
	}
	return m.b.Destroy(ctx, r)
}

// ofEngine are the places that the engine puts into each container, and that are in no
// image made of it.
var ofEngine = map[string]bool{
	".dockerenv": true, "dev/console": true, "dev/pts": true, "dev/shm": true, "proc": true, "sys": true,
	"etc/hosts": true, "etc/hostname": true, "etc/resolv.conf": true,
}

// fingerprint is what tells an entry from another, but for its content.
func fingerprint(h *tar.Header) string {
	link := h.Linkname
	if h.Typeflag == tar.TypeLink {
		link = path.Clean(link)
	}
	var attrs []string
	for k, v := range h.PAXRecords {
		if strings.HasPrefix(k, "SCHILY.xattr.") {
			attrs = append(attrs, k+"="+v)
		}
	}
	slices.Sort(attrs)
	return fmt.Sprintf("%c %o %d %d %d %q %d %d %d %q",
		h.Typeflag, h.Mode, h.Uid, h.Gid, h.Size, link, h.ModTime.UnixNano(), h.Devmajor, h.Devminor, attrs)
}

// writeDifference writes the layer that makes an image of what was before: entries that
// are new or different, and a mark for each that is gone.
func (m *machine) writeDifference(
	ctx context.Context,
	image string,
	before map[string]string,
	w io.Writer,
	spool *os.File,
) error {
	out := tar.NewWriter(w)
	folders := map[string]bool{".": true}
	here, written := map[string]bool{}, map[string]bool{}
	err := m.exported(ctx, image, func(h *tar.Header, content io.Reader) error {
		name := path.Clean(h.Name)
		here[name] = true
		if h.Typeflag == tar.TypeDir {
			folders[name] = true
		}
		if ofEngine[name] {
			return nil
		}
		// Of a link, what it leads to decides: an entry for it has no content of its own.
		led := h.Typeflag == tar.TypeLink && written[path.Clean(h.Linkname)]
		if looks := fingerprint(h); !led && strings.HasPrefix(before[name], looks) {
			// It looks the same: the content decides, which is read only once.
			sum, err := spooled(spool, content)
			if err != nil || before[name] == looks+sum {
				return err
			}
			content = spool
		}
		if h.Typeflag == tar.TypeLink && !written[path.Clean(h.Linkname)] {
			// What it links to has not changed, but a layer holds whole links only.
			if err := m.addFile(ctx, image, path.Clean(h.Linkname), out); err != nil {
				return err
			}
			written[path.Clean(h.Linkname)] = true
		}
		written[name] = true
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.Copy(out, content)
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		// Below what is gone itself, or is no longer a folder, nothing needs a mark.
		if here[name] || ofEngine[name] || !folders[path.Dir(name)] {
			continue
		}
		mark := path.Join(path.Dir(name), ".wh."+path.Base(name))
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: mark, Mode: 0o600}); err != nil {
			return err
		}
	}
	return out.Close()
}

// spooled writes content to a file, from which it can be read again, and returns its sum.
func spooled(spool *os.File, content io.Reader) (string, error) {
	if err := errors.Join(spool.Truncate(0), rewind(spool)); err != nil {
		return "", err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(spool, sum), content); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), rewind(spool)
}

func rewind(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// addFile adds one file of an image as it is.
func (m *machine) addFile(ctx context.Context, image, name string, out *tar.Writer) error {
	found := false
	err := m.exported(ctx, image, func(h *tar.Header, content io.Reader) error {
		if path.Clean(h.Name) != name {
			return nil
		}
		found = true
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.Copy(out, content)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("a link leads to %s, which does not exist", name)
	}
	return err
}

// loadAbove gives the engine an image that stands on the source image.
func (m *machine) loadAbove(ctx context.Context, up upper) error {
	err := m.load(ctx, func(w io.Writer) error { return writeImage(w, up) })
	if err == nil || ctx.Err() != nil {
		return err
	}
	// It may be an engine that wants the lower layers too.
	saved, saveErr := m.engine.ImageSave(ctx, []string{m.source.ID})
	if saveErr != nil {
		return errors.Join(err, saveErr)
	}
	defer saved.Close()
	if whole := m.load(ctx, func(w io.Writer) error { return writeWhole(w, saved, up) }); whole != nil {
		return fmt.Errorf("%w; with all its layers: %w", err, whole)
	}
	return nil
}

// load sends an image to the engine.
func (m *machine) load(ctx context.Context, pack func(io.Writer) error) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(pack(w)) }()
	defer r.Close()
	res, err := m.engine.ImageLoad(ctx, r)
	if err != nil {
		return err
	}
	defer res.Close()
	for msg, err := range docker.Messages(ctx, json.NewDecoder(res)) {
		if err != nil {
			return err
		}
		if msg.Error != nil {
			return errors.New(msg.Error.Message)
		}
	}
	return nil
}
