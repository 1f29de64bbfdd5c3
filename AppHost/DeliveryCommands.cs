using System.ComponentModel;
using System.Diagnostics;
using Aspire.Hosting.ApplicationModel;

namespace MailPipeline.AppHost;

/// <summary>The dashboard's commands of the operator: Standalone's own, on the database of the running services.</summary>
internal sealed class DeliveryCommands(string appHostDirectory, IResourceWithConnectionString mailDb)
{
    private readonly string _project = Path.GetFullPath(Path.Combine(appHostDirectory, "..", "services", "Standalone"));

    public Task<ExecuteCommandResult> PauseAsync(CancellationToken cancellation) => RunAsync(["queue", "pause"], cancellation);

    public Task<ExecuteCommandResult> ResumeAsync(CancellationToken cancellation) => RunAsync(["queue", "resume"], cancellation);

    private async Task<ExecuteCommandResult> RunAsync(string[] command, CancellationToken cancellation)
    {
        if (await mailDb.GetConnectionStringAsync(cancellation) is not { Length: > 0 } connection)
            return CommandResults.Failure("There is no connection string of maildb yet");
        // Standalone wants a folder even where PostgreSQL has the data.
        var folder = Path.Combine(Path.GetTempPath(), "mailpipeline-apphost");
        string[] arguments = ["run", "--project", _project, "--no-launch-profile", "--", .. command, "--data", folder];
        var start = new ProcessStartInfo("dotnet", arguments)
        {
            WorkingDirectory = Path.GetTempPath(),
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // By the environment: a password on the command line is for everybody to see.
        start.Environment["ConnectionStrings__maildb"] = connection;
        try
        {
            return await RunAsync(start, cancellation);
        }
        catch (Win32Exception failure)
        {
            return CommandResults.Failure($"dotnet: {failure.Message}");
        }
    }

    private static async Task<ExecuteCommandResult> RunAsync(ProcessStartInfo start, CancellationToken cancellation)
    {
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(cancellation);
            var error = process.StandardError.ReadToEndAsync(cancellation);
            await process.WaitForExitAsync(cancellation);
            if (process.ExitCode == 0)
                return CommandResults.Success();
            // What the command says goes to standard error; what the compiler says does not.
            var (said, compiled) = ((await error).Trim(), (await output).Trim());
            return CommandResults.Failure(said.Length > 0 ? said : compiled);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }
}
