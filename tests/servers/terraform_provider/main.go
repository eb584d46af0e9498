// A stand-in for Google's Terraform providers: it knows their schema and can do nothing. That is enough for Terraform's
// own `validate`, and for `test` with mock_provider, which plans and applies without a provider's help.
//
// Its schema is the file that PROVIDER_SCHEMA names (tests/servers/terraform/provider_schema.json); which of the two
// providers it is, its own name says.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

type block struct {
	Attributes map[string]struct {
		Type               json.RawMessage
		Required, Computed bool
	}
	Blocks map[string]struct {
		Block            block
		Single, Required bool
	}
}

type provider struct {
	Configuration   block
	Resources, Data map[string]block
}

// kind returns a type from cty's JSON form: "string", ["list", "string"], "dynamic".
func kind(raw json.RawMessage) tftypes.Type {
	var word string
	if json.Unmarshal(raw, &word) == nil {
		switch word {
		case "string":
			return tftypes.String
		case "number":
			return tftypes.Number
		case "bool":
			return tftypes.Bool
		}
		return tftypes.DynamicPseudoType
	}
	var pair [2]json.RawMessage
	if err := json.Unmarshal(raw, &pair); err != nil {
		log.Fatal(err)
	}
	switch element := kind(pair[1]); string(pair[0]) {
	case `"map"`:
		return tftypes.Map{ElementType: element}
	case `"set"`:
		return tftypes.Set{ElementType: element}
	default:
		return tftypes.List{ElementType: element}
	}
}

func (b block) schema() *tfprotov5.SchemaBlock {
	made := &tfprotov5.SchemaBlock{}
	for name, attribute := range b.Attributes {
		made.Attributes = append(made.Attributes, &tfprotov5.SchemaAttribute{
			Name: name, Type: kind(attribute.Type), Required: attribute.Required,
			Optional: !attribute.Required && !attribute.Computed, Computed: !attribute.Required,
		})
	}
	for name, inner := range b.Blocks {
		nested := &tfprotov5.SchemaNestedBlock{
			TypeName: name, Block: inner.Block.schema(), Nesting: tfprotov5.SchemaNestedBlockNestingModeList,
		}
		if inner.Single {
			nested.MaxItems = 1
		}
		if inner.Required {
			nested.MinItems = 1
		}
		if name == "timeouts" {
			nested.Nesting, nested.MaxItems = tfprotov5.SchemaNestedBlockNestingModeSingle, 0
		}
		made.BlockTypes = append(made.BlockTypes, nested)
	}
	return made
}

func schemas(blocks map[string]block) map[string]*tfprotov5.Schema {
	made := map[string]*tfprotov5.Schema{}
	for name, block := range blocks {
		made[name] = &tfprotov5.Schema{Block: block.schema()}
	}
	return made
}

type server struct {
	tfprotov5.ProviderServer
	provider provider
}

func (s server) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (*tfprotov5.GetProviderSchemaResponse, error) {
	return &tfprotov5.GetProviderSchemaResponse{
		Provider:          &tfprotov5.Schema{Block: s.provider.Configuration.schema()},
		ResourceSchemas:   schemas(s.provider.Resources),
		DataSourceSchemas: schemas(s.provider.Data),
	}, nil
}

func (server) PrepareProviderConfig(_ context.Context, asked *tfprotov5.PrepareProviderConfigRequest) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: asked.Config}, nil
}

func (server) ValidateResourceTypeConfig(context.Context, *tfprotov5.ValidateResourceTypeConfigRequest) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	return &tfprotov5.ValidateResourceTypeConfigResponse{}, nil
}

func (server) ValidateDataSourceConfig(context.Context, *tfprotov5.ValidateDataSourceConfigRequest) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	return &tfprotov5.ValidateDataSourceConfigResponse{}, nil
}

func (server) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

// UpgradeResourceState is called when `terraform test` destroys what a mocked apply has made.
func (s server) UpgradeResourceState(_ context.Context, asked *tfprotov5.UpgradeResourceStateRequest) (*tfprotov5.UpgradeResourceStateResponse, error) {
	resource := &tfprotov5.Schema{Block: s.provider.Resources[asked.TypeName].schema()}
	value, err := asked.RawState.Unmarshal(resource.ValueType())
	if err != nil {
		return nil, err
	}
	upgraded, err := tfprotov5.NewDynamicValue(resource.ValueType(), value)
	return &tfprotov5.UpgradeResourceStateResponse{UpgradedState: &upgraded}, err
}

func main() {
	text, err := os.ReadFile(os.Getenv("PROVIDER_SCHEMA"))
	if err != nil {
		log.Fatal(err)
	}
	var providers map[string]provider
	if err := json.Unmarshal(text, &providers); err != nil {
		log.Fatal(err)
	}
	name := "google"
	if strings.Contains(os.Args[0], "google-beta") {
		name = "google-beta"
	}
	serve := func() tfprotov5.ProviderServer { return server{provider: providers[name]} }
	if err := tf5server.Serve("registry.terraform.io/hashicorp/"+name, serve); err != nil {
		log.Fatal(err)
	}
}
