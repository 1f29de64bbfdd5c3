using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;
using Aspire.Hosting.ApplicationModel;

namespace MailPipeline.AppHost;

/// <summary>The dashboard's commands of the operator: those of the program mail, on the database of the running services.</summary>
internal sealed class OperatorCommands(IResourceWithConnectionString mailDb)
{
    /// <summary>The program, which AppHost's build has built.</summary>
    public static string Program { get; } = typeof(OperatorCommands).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(metadata => metadata.Key == "MailProgram").Value!;

    public Task<ExecuteCommandResult> PauseAsync(CancellationToken cancellation) => DoAsync(["queue", "pause"], cancellation);

    public Task<ExecuteCommandResult> ResumeAsync(CancellationToken cancellation) => DoAsync(["queue", "resume"], cancellation);

    /// <summary>The timeline of a message as the command <c>message</c> prints it, or what it says where it fails.</summary>
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
        var start = new ProcessStartInfo("dotnet", [Program, .. command])
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
            return process.ExitCode == 0 ? (true, said) : (false, complained.Length > 0 ? complained : said);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }
}
