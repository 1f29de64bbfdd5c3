namespace MailPipeline.Standalone.Tests;

public sealed class ArgumentsTests
{
    [Fact]
    public void Nothing_means_the_server_on_the_folder_data()
    {
        var arguments = Arguments.Parse([]);

        Assert.Empty(arguments.Words);
        Assert.Empty(arguments.Settings);
        Assert.Equal(("data", 0), (arguments.DataFolder, arguments.PortOffset));
    }

    [Fact]
    public void Words_options_and_settings_may_be_mixed()
    {
        var arguments = Arguments.Parse(
            ["domain", "--data", "/srv/mail", "add", "--Http:Port=99", "example.org", "--port-offset=7", "--Tls:HostNames:0", "mx.example.org"]);

        Assert.Equal(["domain", "add", "example.org"], arguments.Words);
        Assert.Equal("/srv/mail", arguments.DataFolder);
        Assert.Equal(7, arguments.PortOffset);
        Assert.Equal(["--Http:Port=99", "--Tls:HostNames:0=mx.example.org"], arguments.Settings);
    }

    [Theory]
    [InlineData("--data", "--data needs a value")]
    [InlineData("--data=", "--data needs the name of a folder")]
    [InlineData("--port-offset=-1", "--port-offset is '-1'; it must be a number from 0 to 54424")]
    [InlineData("--port-offset=99999", "--port-offset is '99999'; it must be a number from 0 to 54424")]
    [InlineData("--password=x", "Unknown option --password; settings are written --Section:Key=value")]
    [InlineData("--Htp:Port=1", "There is no section of settings named 'Htp'")]
    public void What_makes_no_sense_is_refused_with_what_would(string argument, string message) =>
        Assert.StartsWith(message, Assert.Throws<CommandLineException>(() => Arguments.Parse([argument])).Message, StringComparison.Ordinal);

    /// <summary>Who reads the host's mail is said once, for what comes in at the door and for what an alias leads there.</summary>
    [Theory]
    [InlineData("ann@example.org", "--Ingress:Postmaster=ann@example.org")]
    [InlineData(null, "--Ingress:Postmaster=ann")]
    [InlineData("bob@example.org", "--Ingress:Postmaster=ann@example.org", "--Queue:Postmaster=bob@example.org")]
    [InlineData(null)]
    public void The_postmaster_of_the_door_is_the_queues_too(string? expected, params string[] settings)
    {
        var folder = Directory.CreateTempSubdirectory("mailpipeline-arguments-");
        try
        {
            Assert.Equal(expected, StandaloneHost.CreateBuilder(Arguments.Parse(settings), folder.FullName).Configuration["Queue:Postmaster"]);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void The_offset_moves_every_default_port_and_no_other_setting()
    {
        var moved = StandaloneSettings.Defaults("data", 100);
        var changed = StandaloneSettings.Defaults("data", 0).Where(pair => moved[pair.Key] != pair.Value).ToList();

        Assert.Equal(5, changed.Count);
        Assert.All(changed, pair => Assert.EndsWith("Port", pair.Key, StringComparison.Ordinal));
        Assert.All(changed, pair => Assert.Equal(int.Parse(pair.Value!, null) + 100, int.Parse(moved[pair.Key]!, null)));
    }
}
