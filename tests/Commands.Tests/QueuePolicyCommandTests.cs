namespace MailPipeline.Commands.Tests;

/// <summary>A policy of the queue in a file, before it is put where Queue reads it.</summary>
public sealed class QueuePolicyCommandTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task Each_entry_is_said_in_words_and_none_needs_a_store()
    {
        var said = await CheckAsync("""
            {
              "Destinations": [
                { "For": "gmail.com", "Connections": 20, "MessagesPerSecond": 0.5, "MessagesPerConnection": 100 },
                { "For": "*.example.org", "Connections": 2 },
                { "For": "mx:*.google.com", "Connections": 40 },
                { "For": "a.b.example.org", "Connections": 3 },
                { "For": "b.example.org", "Connections": 4, "MaxAge": "2h" }
              ],
              "Senders": [ { "From": "*@Bank.example", "MaxAge": "2h", "DelayReportAfter": "0", "Uncertain": { "Most": 1, "Then": "Report" } } ],
              "Replies": [ { "Host": "*.google.com", "Text": "4.7.28", "Class": "rate", "Then": "retry", "RetrySteps": [ "90m", "1d" ] } ]
            }
            """);
        Assert.Equal((0, ""), (said.ExitCode, said.Error));
        Assert.Equal(
            [
                "entry | of | means",
                "Destinations:0 | the domain gmail.com | 20 connections at once; 0.5 messages a second; 100 messages over one connection",
                "Destinations:1 | each domain below example.org by itself | 2 connections at once",
                "Destinations:2 | a site with a host below google.com: all its domains together | 40 connections at once",
                "Destinations:3 | the domain a.b.example.org | 3 connections at once",
                "Destinations:4 | the domain b.example.org | 4 connections at once; given up after 2 h",
                "Senders:0 | mail from bank.example | given up after 2 h; nobody is told of delay; in doubt, never sent twice; then its sender is told that it may have arrived",
                "Replies:0 | a reply of hosts below google.com with '4.7.28' in it | it is about rate; tried again, whatever its code; tried again after 1 h 30 m, 1 d, the last again and again",
                "Policy:Destinations:3 never counts: Policy:Destinations:1 before it fits whatever it fits, and says all that it says",
            ],
            said.Output.Split('\n').Select(line => System.Text.RegularExpressions.Regex.Replace(line, " {2,}", " | ")));
    }

    [Theory]
    [InlineData("""{ "Destinations": [ { "For": "gmail.com", "Conections": 20 } ] }""", "Policy:Destinations:0:Conections")]
    [InlineData("""{ "Destinations": [ { "For": "gmail.com", "Connections": -1 } ] }""", "Policy:Destinations:0:Connections is -1; it must be 1 to 10000, or 0 for no limit of its own")]
    [InlineData("""{ "Replies": [ { "Host": "*.google.com", "Class": "weather" } ] }""", "Policy:Replies:0:Class is 'weather'")]
    [InlineData("{ \"Destinations\": [\n  { \"For\": } ] }", "it is no JSON of settings:")]
    public async Task What_Queue_would_not_take_is_said_with_its_place(string policy, string fault)
    {
        var said = await CheckAsync(policy);
        Assert.Equal(1, said.ExitCode);
        Assert.StartsWith("Queue would not take '", said.Error, StringComparison.Ordinal);
        Assert.Contains(fault, said.Error + said.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_said_too() =>
        Assert.Contains("it cannot be read: ", (await _run.RunAsync($"queue policy check {Path.Combine(_run.Folder, "none.json")}")).Error, StringComparison.Ordinal);

    private async Task<CommandResult> CheckAsync(string policy)
    {
        var file = Path.Combine(_run.Folder, "policy.json");
        await File.WriteAllTextAsync(file, policy, TestContext.Current.CancellationToken);
        return await _run.RunAsync($"queue policy check {file}");
    }
}
