package function

import (
	"fmt"
	"math/big"
	"net"

	"github.com/apparentlymart/go-cidr/cidr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

func networks() map[string]function.Function {
	return map[string]function.Function{
		"cidrhost": cidrHost, "cidrnetmask": text("prefix", cidrNetmask), "cidrsubnet": cidrSubnet, "cidrsubnets": cidrSubnets,
	}
}

func prefix(v cty.Value) (*net.IPNet, error) {
	_, n, err := net.ParseCIDR(v.AsString())
	if err != nil {
		return nil, fmt.Errorf("invalid CIDR expression: %w", err)
	}
	return n, nil
}

// whole is a number argument that must be whole and small.
func whole(v cty.Value, name string) (int, error) {
	n, acc := v.AsBigFloat().Int64()
	if acc != big.Exact || n < -1<<31 || n > 1<<31 {
		return 0, fmt.Errorf("%s must be a whole number", name)
	}
	return int(n), nil
}

var cidrHost = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "hostnum", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		n, err := prefix(args[0])
		if err != nil {
			return cty.NilVal, err
		}
		num, acc := args[1].AsBigFloat().Int(nil)
		if acc != big.Exact {
			return cty.NilVal, fmt.Errorf("hostnum must be a whole number")
		}
		ip, err := cidr.HostBig(n, num)
		if err != nil {
			return cty.NilVal, err
		}
		return cty.StringVal(ip.String()), nil
	},
})

func cidrNetmask(text string) (string, error) {
	n, err := prefix(cty.StringVal(text))
	if err != nil {
		return "", err
	}
	return net.IP(n.Mask).String(), nil
}

var cidrSubnet = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "newbits", Type: cty.Number}, {Name: "netnum", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		n, err := prefix(args[0])
		if err != nil {
			return cty.NilVal, err
		}
		bits, err := whole(args[1], "newbits")
		if err != nil {
			return cty.NilVal, err
		}
		num, acc := args[2].AsBigFloat().Int(nil)
		if acc != big.Exact || bits < 0 {
			return cty.NilVal, fmt.Errorf("newbits and netnum must be whole numbers that are not negative")
		}
		sub, err := cidr.SubnetBig(n, bits, num)
		if err != nil {
			return cty.NilVal, err
		}
		return cty.StringVal(sub.String()), nil
	},
})

var cidrSubnets = function.New(&function.Spec{
	Params:   []function.Parameter{{Name: "prefix", Type: cty.String}},
	VarParam: &function.Parameter{Name: "newbits", Type: cty.Number},
	Type:     function.StaticReturnType(cty.List(cty.String)),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		n, err := prefix(args[0])
		if err != nil {
			return cty.NilVal, err
		}
		start, total := n.Mask.Size()
		var out []cty.Value
		var last *net.IPNet
		for i, arg := range args[1:] {
			bits, err := whole(arg, "newbits")
			if err != nil {
				return cty.NilVal, function.NewArgError(i+1, err)
			}
			if bits < 1 || start+bits > total {
				return cty.NilVal, function.NewArgErrorf(i+1, "a prefix of /%d cannot be extended by %d bits", start, bits)
			}
			if last == nil {
				last, err = cidr.Subnet(n, bits, 0)
				if err != nil {
					return cty.NilVal, function.NewArgError(i+1, err)
				}
			} else {
				next, over := cidr.NextSubnet(last, start+bits)
				if over || !n.Contains(next.IP) {
					return cty.NilVal, function.NewArgErrorf(i+1, "not enough remaining address space for a subnet with a prefix of %d bits", start+bits)
				}
				last = next
			}
			out = append(out, cty.StringVal(last.String()))
		}
		if len(out) == 0 {
			return cty.ListValEmpty(cty.String), nil
		}
		return cty.ListVal(out), nil
	},
})
