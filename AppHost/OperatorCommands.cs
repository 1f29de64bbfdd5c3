using System.ComponentModel;
using System.Diagnostics;
using Aspire.Hosting.ApplicationModel;

namespace MailPipeline.AppHost;

/// <summary>The dashboard's commands of the operator: Standalone's own, on the database of the running services.</summary>
internal sealed class OperatorCommands(string appHostDirectory, IResourceWithConnectionString mailDb)
{
    private readonly string _project = Path.GetFullPath(Path.Combine(appHostDirectory, "..", "services", "Standalone"));

    public Task<ExecuteCommandResult> PauseAsync(CancellationToken cancellation) => DoAsync(["queue", "pause"], cancellation);

    public Task<ExecuteCommandResult> ResumeAsync(CancellationToken cancellation) => DoAsync(["queue", "resume"], cancellation);

    /// <summary>The timeline of a message as Standalone's command <c>message</c> prints it, or what it says where it fails.</summary>
    public async Task<string> TimelineAsync(string messageId, CancellationToken cancellation) =>
        (await RunAsync(["message", messageId], cancellation)).Said;

    private async Task<ExecuteCommandResult> DoAsync(string[] command, CancellationToken cancellation)
    {
        var (isDone, said) = await RunAsync(command, cancellation);
        return isDone ? CommandResults.Success() : CommandResults.Failure(said);
    }

    private async Task<(bool IsDone, string Said)> RunAsync(string[] command, CancellationToken cancellation)
    {
        if (await mailDb.GetConnectionStringAsync(cancellation) is not { Length: > 0 } connection)
            return (false, "There is no connection string of maildb yet");
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
            return (false, $"dotnet: {failure.Message}");
        }
    }

    private static async Task<(bool IsDone, string Said)> RunAsync(ProcessStartInfo start, CancellationToken cancellation)
    {
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(cancellation);
            var error = process.StandardError.ReadToEndAsync(cancellation);
            await process.WaitForExitAsync(cancellation);
            var (said, complained) = ((await output).Trim(), (await error).Trim());
            if (process.ExitCode == 0)
                return (true, said);
            // What a command complains of goes to standard error; what the compiler does goes to standard output.
            return (false, complained.Length > 0 ? complained : said);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }
}
