//go:build unix

package main

import "encoding/xml"

// envelope is what an OVF descriptor says, as far as it is read.
type envelope struct {
	XMLName xml.Name `xml:"Envelope"`
	Version string   `xml:"version,attr"`
	Files   []struct {
		ID   string `xml:"id,attr"`
		Href string `xml:"href,attr"`
	} `xml:"References>File"`
	Disks []struct {
		ID      string `xml:"diskId,attr"`
		FileRef string `xml:"fileRef,attr"`
	} `xml:"DiskSection>Disk"`
	Sections []struct {
		Type string `xml:"type,attr"`
	} `xml:"Section"`
	Systems []struct {
		ID    string `xml:"id,attr"`
		Items []item `xml:"VirtualHardwareSection>Item"`
		Box   *box   `xml:"Machine"`
	} `xml:"VirtualSystem"`
}

// item is a piece of hardware of an OVF descriptor.
type item struct {
	Parent          string
	AddressOnParent string
	HostResource    string
	InstanceID      string
	ResourceSubType string
	ResourceType    int
	VirtualQuantity string
	ElementName     string
	Address         string
	Connection      string
}

// Types of hardware.
const (
	itemCPU    = 3
	itemMemory = 4
	itemIDE    = 5
	itemSCSI   = 6
	itemDisk   = 17
	itemSATA   = 20
)

// box is what VirtualBox adds to a descriptor of its own.
type box struct {
	OSType      string    `xml:"OSType,attr"`
	Settings    []pair    `xml:"Standin>Setting"`
	Adapters    []adapter `xml:"Hardware>Network>Adapter"`
	Controllers []boxBus  `xml:"StorageControllers>StorageController"`
}

type pair struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type adapter struct {
	Slot    int    `xml:"slot,attr"`
	Enabled bool   `xml:"enabled,attr"`
	MAC     string `xml:"MACAddress,attr"`
	Type    string `xml:"type,attr"`
}

type boxBus struct {
	Name    string   `xml:"name,attr"`
	Type    string   `xml:"type,attr"`
	Bus     string   `xml:"bus,attr"` // of this program
	Ports   int      `xml:"PortCount,attr"`
	Devices []boxDev `xml:"AttachedDevice"`
}

type boxDev struct {
	Type   string `xml:"type,attr"`
	Port   int    `xml:"port,attr"`
	Device int    `xml:"device,attr"`
	Disk   string `xml:"disk,attr"` // its diskId
}
