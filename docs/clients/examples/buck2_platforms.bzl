# Buck2: goes into platforms/defs.bzl. platforms/BUCK then says:
#   load(":defs.bzl", "grid")
#   grid(name = "grid")

def _grid(ctx):
    platform = ExecutionPlatformInfo(
        label = ctx.label.raw_target(),
        configuration = ConfigurationInfo(constraints = {}, values = {}),
        executor_config = CommandExecutorConfig(
            # As a cache alone: local_enabled = True, remote_enabled = False, remote_cache_enabled = True, and
            # allow_cache_uploads = True, or False to take results and bring none.
            local_enabled = True,
            remote_enabled = True,
            use_limited_hybrid = True,
            remote_execution_properties = {"OSFamily": "linux"},
            remote_execution_use_case = "buck2-default",
            remote_output_paths = "output_paths",
        ),
    )
    return [DefaultInfo(), ExecutionPlatformRegistrationInfo(platforms = [platform])]

grid = rule(attrs = {}, impl = _grid)
