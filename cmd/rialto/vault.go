package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rialto-events/rialto/internal/server"
	"github.com/rialto-events/rialto/internal/vault"
)

func newVault() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vault COMMAND",
		Short: "Look after the keys that seal secrets",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newVaultRotate())
	return cmd
}

func newVaultRotate() *cobra.Command {
	var dir, data string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Add a key that seals the secrets of connections from now on",
		Long: `Adds a key to the file vault.keys. A server that is started after that seals everything anew with it, and says in its log when it has;
then the lines of older keys can be taken out of the file. Until then every key opens what it has sealed, and nothing stops.`,
		Example: `  rialto vault rotate --data-dir /var/lib/rialto
  rialto vault rotate --vault-dir /etc/rialto`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir := cmp.Or(dir, data)
			if !vault.Exists(dir) {
				return usagef("--data-dir or --vault-dir with the folder that the server has", "There are no keys in %s.", dir)
			}
			v, err := vault.Open(dir)
			if err == nil {
				err = v.Rotate()
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The key was added. Start the server anew, and it seals all secrets with it.")
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&data, "data-dir", cmp.Or(os.Getenv(envName("data-dir")), server.DefaultData), "`FOLDER` The data folder of the server.")
	cmd.Flags().StringVar(&dir, "vault-dir", os.Getenv(envName("vault-dir")), "`FOLDER` Where the keys are.")
	describe(cmd.Flags(), "vault-dir", "the data folder")
	return cmd
}
