using MailPipeline.Testing;

namespace MailPipeline.Commands.Tests;

/// <summary>The built program as a process, as a shell or a script starts it.</summary>
public sealed class ProgramTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task It_takes_a_password_from_standard_input_and_writes_plain_text_into_a_pipe()
    {
        await RunAsync(["domain", "add", "example.org"]);
        Assert.Equal(
            "ann@example.org added, and reads what is written to postmaster@example.org",
            await RunAsync(["account", "add", "ann@example.org"], "s3cret-words\nanother line\n"));
        // "@example.org" is no file of further arguments.
        Assert.Equal("@example.org -> ann@example.org added", await RunAsync(["alias", "add", "@example.org", "ann@example.org"]));
        Assert.Equal("@example.org -> ann@example.org\npostmaster@example.org -> ann@example.org", await RunAsync(["alias", "list"]));
        Assert.Equal("""{"status":"done","result":"domains","domains":["example.org"],"aliasDomains":[],"relayedDomains":[]}""", await RunAsync(["domain", "list", "--json"]));
        Assert.Equal("0 recipients wait, 0 messages are not routed yet, 0 batches are being tried", await RunAsync(["queue"]));
    }

    [Fact]
    public async Task It_needs_no_folder_where_the_environment_names_PostgreSQL_and_says_what_is_wrong_with_it()
    {
        await using var process = Start(["queue"], new() { ["ConnectionStrings__maildb"] = "Host=127.0.0.1;Port=1;Database=x;Username=x;Password=hidden" });
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(2, process.ExitCode);
        Assert.StartsWith("ConnectionStrings:maildb is 'host=127.0.0.1;port=1;database=x;username=x', which cannot be used: ", process.Output, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("hidden", process.Output, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_run.Folder));
    }

    [Fact]
    public async Task Settings_come_from_the_file_of_the_working_directory_and_other_sections_are_the_servers_business()
    {
        var settings = Path.Combine(_run.Folder, "appsettings.json");
        await File.WriteAllTextAsync(
            settings, """{ "Ingress": { "HostName": "mx.example.org" }, "Logins": { "MinPasswordLength": 4 } }""", TestContext.Current.CancellationToken);
        await RunAsync(["domain", "add", "example.org"]);
        await RunAsync(["account", "add", "ann@example.org"], "four\n");

        await File.WriteAllTextAsync(settings, """{ "Logins": { "MinPaswordLength": 4 } }""", TestContext.Current.CancellationToken);
        await ShouldFailAsync("There is no setting 'Logins:MinPaswordLength'; Logins has ");
        await File.WriteAllTextAsync(settings, "{ nonsense", TestContext.Current.CancellationToken);
        await ShouldFailAsync("appsettings.json must be a JSON object of settings: ");
    }

    [Fact]
    public async Task It_completes_words_for_a_shell()
    {
        Assert.Equal("queue", await RunAsync(["[suggest:6]", "mail q"]));
        Assert.Contains("release", await RunAsync(["[suggest:13]", "mail message "]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_says_that_an_answer_could_not_be_written_and_what_was_asked_for_is_done()
    {
        await ShouldNotBeWrittenAsync("domain add example.org");
        await ShouldNotBeWrittenAsync("help");
        Assert.Equal("example.org", await RunAsync(["domain", "list"]));

        async Task ShouldNotBeWrittenAsync(string line)
        {
            await using var process = ServerProcess.Start(
                "/bin/sh", ["-c", $"'{Path.Combine(AppContext.BaseDirectory, "mail")}' {line} > /dev/full"], _run.Folder);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Equal(1, process.ExitCode);
            Assert.StartsWith("Done, but the answer could not be written: ", process.Output, StringComparison.Ordinal);
        }
    }

    private async Task ShouldFailAsync(string message)
    {
        await using var process = Start(["domain", "list"], []);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(2, process.ExitCode);
        Assert.StartsWith(message, process.Output, StringComparison.Ordinal);
    }

    private ServerProcess Start(string[] words, Dictionary<string, string?> environment) =>
        ServerProcess.Start(Path.Combine(AppContext.BaseDirectory, "mail"), words, _run.Folder, environment);

    private Task<string> RunAsync(string[] words, string input = "") => ServerProcess.RunAsync(
        Path.Combine(AppContext.BaseDirectory, "mail"), words, _run.Folder, input: input, cancellation: TestContext.Current.CancellationToken);
}
