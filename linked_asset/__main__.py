from linked_asset.cli import main

main(prog_name="linked-asset")
