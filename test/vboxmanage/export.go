//go:build unix

package main

import (
	"archive/tar"
	"crypto/sha1"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// exported are the options of a call of export.
type exported struct {
	path     string
	version  string // of OVF: 0.9, 1.0 or 2.0
	manifest bool
	iso      bool
	product  map[string]string
}

// productFlags are the options that say what an appliance is.
var productFlags = []string{"product", "producturl", "vendor", "vendorurl", "version", "description", "eula",
	"eulafile", "vmname"}

func exportVM(r *registry, args []string) error {
	g, names, err := flags{
		values: append([]string{"output", "options", "vsys"}, productFlags...),
		bools:  []string{"manifest", "iso", "legacy09", "ovf09", "ovf10", "ovf20", "opc10"},
		short:  map[string]string{"-o": "output", "-I": "iso"},
		max:    1, // machines in one appliance
	}.parse(args)
	switch {
	case err != nil:
		return err
	case len(names) == 0:
		return usage("At least one machine must be specified with the export command.")
	case !g.has("output"):
		return usage("Missing --output argument with export command.")
	case g.has("opc10"):
		return usage("appliances for Oracle's cloud are not written here")
	case g.has("vsys") && g.get("vsys") != "0":
		return usage("Invalid index '%s' with --vsys", g.get("vsys"))
	}
	e := &exported{version: "1.0", manifest: g.has("manifest"), iso: g.has("iso"), product: map[string]string{}}
	for _, f := range productFlags {
		if g.has(f) && !g.has("vsys") {
			return usage("Option --%s requires preceding --vsys", f)
		}
		e.product[f] = g.get(f)
	}
	for _, o := range strings.Split(g.get("options"), ",") {
		switch o {
		case "", "nomacs", "nomacsbutnat":
		case "manifest":
			e.manifest = true
		case "iso":
			e.iso = true
		default:
			return usage("Invalid value '%s' for option --options", o)
		}
	}
	switch {
	case g.has("ovf20"):
		e.version = "2.0"
	case g.has("ovf09"), g.has("legacy09"):
		e.version = "0.9"
	}
	if e.path, err = filepath.Abs(g.get("output")); err != nil {
		return err
	}
	m, err := r.mutable(names[0])
	if err != nil {
		return err
	}
	if err := oneOf("extension of the appliance", filepath.Ext(e.path), ".ovf", ".ova"); err != nil {
		return err
	}
	if _, err := os.Lstat(e.path); err == nil {
		return refuse(fileError, "Appliance write failed: file '%s' already exists (VERR_ALREADY_EXISTS)", e.path)
	}
	appliance := *m
	appliance.config = m.config.clone()
	if err := r.working(m, func() error { return e.write(&appliance) }); err != nil {
		return refuse(failed, "Appliance write failed: %v", err)
	}
	fmt.Println("0%...10%...20%...30%...40%...50%...60%...70%...80%...90%...100%")
	fmt.Println("Successfully exported 1 machine(s).")
	return nil
}

// write writes the appliance into a folder, and makes one file of it where that is asked.
func (e *exported) write(m *machine) error {
	base := strings.TrimSuffix(filepath.Base(e.path), filepath.Ext(e.path))
	dir := filepath.Dir(e.path)
	ova := strings.EqualFold(filepath.Ext(e.path), ".ova")
	if ova {
		temp, err := os.MkdirTemp(dir, ".standin-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		dir = temp
	}
	text, files, err := e.describe(m, dir, base)
	if err != nil {
		return err
	}
	names := []string{base + ".ovf"}
	if err := os.WriteFile(filepath.Join(dir, names[0]), text, 0o600); err != nil {
		return err
	}
	names = append(names, files...)
	if e.manifest {
		var lines strings.Builder
		for _, name := range names {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			sum := sha1.Sum(text)
			fmt.Fprintf(&lines, "SHA1 (%s) = %s\n", name, hex.EncodeToString(sum[:]))
		}
		names = append(names, base+".mf")
		if err := os.WriteFile(filepath.Join(dir, base+".mf"), []byte(lines.String()), 0o600); err != nil {
			return err
		}
	}
	if !ova {
		return nil
	}
	return pack(e.path, dir, names)
}

// pack makes an OVA: a tar file that begins with the descriptor.
func pack(path, dir string, names []string) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	for _, name := range names {
		if err := add(w, filepath.Join(dir, name), name); err != nil {
			return errors.Join(err, out.Close())
		}
	}
	return errors.Join(w.Close(), out.Close())
}

func add(w *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: 0o640, Size: info.Size(), ModTime: info.ModTime(), Format: tar.FormatUSTAR}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// part is a disk or a CD of an appliance.
type part struct {
	File, ID, UUID  string
	Size, Capacity  int64
	Controller      int // instance of its controller
	Address, Device int
	CD              bool
}

// describe writes the disks into a folder and returns the descriptor.
func (e *exported) describe(m *machine, dir, base string) (text []byte, files []string, err error) {
	a := struct {
		*machine
		*exported
		Base    string
		Parts   []part
		Buses   []boxBus
		Product []pair
		Keys    []pair
		Network adapter
	}{machine: m, exported: e, Base: base}
	for i, c := range m.Controllers {
		bus := boxBus{Name: c.Name, Type: c.Chip, Bus: c.Bus, Ports: c.Ports}
		for _, at := range slices.Sorted(maps.Keys(c.Slots)) {
			s, n := c.Slots[at], numbers(at)
			dev := boxDev{Type: s.Type, Port: n[0], Device: n[1]}
			p := part{ID: "vmdisk" + strconv.Itoa(len(a.Parts)+1), UUID: newUUID(), Controller: i + 10,
				Address: n[0]*buses[c.Bus].devices + n[1]}
			switch {
			case s.Type == "hdd":
				p.File = fmt.Sprintf("%s-disk%03d.vmdk", base, len(a.Parts)+1)
				if _, p.Capacity, err = probe(s.Medium); err != nil {
					return nil, nil, err
				}
				p.Capacity <<= 20
				_, err = image("convert", "-O", "vmdk", "-o", "subformat=streamOptimized", s.Medium,
					filepath.Join(dir, p.File))
			case s.Type == "dvddrive" && e.iso && s.Medium != "":
				p.CD, p.File = true, fmt.Sprintf("%s-file%d.iso", base, len(a.Parts)+1)
				err = duplicate(s.Medium, filepath.Join(dir, p.File))
			}
			if err != nil {
				return nil, nil, err
			}
			if p.File != "" {
				info, err := os.Stat(filepath.Join(dir, p.File))
				if err != nil {
					return nil, nil, err
				}
				p.Size, dev.Disk = info.Size(), p.ID
				a.Parts, files = append(a.Parts, p), append(files, p.File)
			}
			bus.Devices = append(bus.Devices, dev)
		}
		a.Buses = append(a.Buses, bus)
	}
	for _, f := range productFlags {
		if v := e.product[f]; v != "" {
			a.Product = append(a.Product, pair{f, v})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.Settings)) {
		a.Keys = append(a.Keys, pair{key, m.Settings[key]})
	}
	a.Network = adapter{MAC: m.Settings["macaddress1"], Type: m.Settings["nictype1"]}
	var out strings.Builder
	err = descriptor.Execute(&out, a)
	return []byte(out.String()), files, err
}

// Version is that of the OVF format.
func (e *exported) Version() string { return e.version }

// Space is the name space of that version.
func (e *exported) Space() string {
	if e.version == "2.0" {
		return "http://schemas.dmtf.org/ovf/envelope/2"
	}
	return "http://schemas.dmtf.org/ovf/envelope/1"
}

var descriptor = template.Must(template.New("ovf").Funcs(template.FuncMap{"x": func(v any) (string, error) {
	var out strings.Builder
	err := xml.EscapeText(&out, []byte(fmt.Sprint(v)))
	return out.String(), err
}}).Parse(`<?xml version="1.0"?>
<Envelope ovf:version="{{.Version}}" xml:lang="en-US" xmlns="{{.Space}}" xmlns:ovf="{{.Space}}" ` +
	`xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" ` +
	`xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" ` +
	`xmlns:vbox="http://www.virtualbox.org/ovf/machine">
  <References>
{{- range .Parts}}
    <File ovf:id="{{if .CD}}cd-{{end}}{{.ID}}-file" ovf:href="{{x .File}}" ovf:size="{{.Size}}"/>
{{- end}}
  </References>
  <DiskSection>
    <Info>List of the virtual disks used in the package</Info>
{{- range .Parts}}{{if not .CD}}
    <Disk ovf:capacity="{{.Capacity}}" ovf:diskId="{{.ID}}" ovf:fileRef="{{.ID}}-file" ` +
	`ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized" vbox:uuid="{{.UUID}}"/>
{{- end}}{{end}}
  </DiskSection>
  <NetworkSection>
    <Info>Logical networks used in the package</Info>
    <Network ovf:name="NAT"><Description>Logical network used by this appliance.</Description></Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{{x .Name}}">
    <Info>A virtual machine</Info>
{{- if .Product}}
    <ProductSection>
      <Info>Meta-information about the installed software</Info>
{{- range .Product}}
      <!-- {{x .Name}} --><Property ovf:key="{{x .Name}}" ovf:value="{{x .Value}}"/>
{{- end}}
    </ProductSection>
{{- end}}
    <OperatingSystemSection ovf:id="1">
      <Info>The kind of installed guest operating system</Info>
      <vbox:OSType ovf:required="false">{{x .OSType}}</vbox:OSType>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware requirements for a virtual machine</Info>
      <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>` +
	`<rasd:VirtualQuantity>{{index .Settings "cpus"}}</rasd:VirtualQuantity></Item>
      <Item><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>` +
	`<rasd:VirtualQuantity>{{index .Settings "memory"}}</rasd:VirtualQuantity></Item>
{{- range $i, $b := .Buses}}
      <Item><rasd:InstanceID>1{{$i}}</rasd:InstanceID><rasd:ResourceSubType>{{x $b.Type}}</rasd:ResourceSubType>` +
	`<rasd:ResourceType>{{if eq $b.Bus "ide"}}5{{else if eq $b.Bus "sata"}}20{{else}}6{{end}}</rasd:ResourceType></Item>
{{- end}}
{{- range .Parts}}
      <Item><rasd:AddressOnParent>{{.Address}}</rasd:AddressOnParent>` +
	`<rasd:HostResource>/{{if .CD}}file{{else}}disk{{end}}/{{.ID}}</rasd:HostResource>` +
	`<rasd:InstanceID>{{.ID}}</rasd:InstanceID><rasd:Parent>{{.Controller}}</rasd:Parent>` +
	`<rasd:ResourceType>{{if .CD}}15{{else}}17{{end}}</rasd:ResourceType></Item>
{{- end}}
      <Item><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>NAT</rasd:Connection>` +
	`<rasd:InstanceID>99</rasd:InstanceID><rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
    <vbox:Machine ovf:required="false" uuid="{{"{"}}{{.UUID}}{{"}"}}" name="{{x .Name}}" OSType="{{x .OSType}}">
      <ovf:Info>Complete VirtualBox machine configuration in VirtualBox format</ovf:Info>
      <Standin>
{{- range .Keys}}
        <Setting name="{{x .Name}}" value="{{x .Value}}"/>
{{- end}}
      </Standin>
      <Hardware><Network><Adapter slot="0" enabled="true" MACAddress="{{.Network.MAC}}" type="{{.Network.Type}}"/>` +
	`</Network></Hardware>
      <StorageControllers>
{{- range .Buses}}
        <StorageController name="{{x .Name}}" type="{{x .Type}}" bus="{{.Bus}}" PortCount="{{.Ports}}">
{{- range .Devices}}
          <AttachedDevice type="{{.Type}}" port="{{.Port}}" device="{{.Device}}" disk="{{.Disk}}"/>
{{- end}}
        </StorageController>
{{- end}}
      </StorageControllers>
    </vbox:Machine>
  </VirtualSystem>
</Envelope>
`))
