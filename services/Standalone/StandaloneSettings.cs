using System.Globalization;
using MailPipeline.Authentication.Dkim;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Standalone;

/// <summary>
/// The defaults that make one process out of the services: everything on loopback, everything in one folder, ports moved
/// by one offset. They lie beneath appsettings.json, the environment and the command line, which override them key by key.
/// </summary>
internal static class StandaloneSettings
{
    public const int MxPort = 2525;
    public const int SubmissionPort = 2587;
    public const int Pop3Port = 2110;
    public const int HttpPort = 8080;
    public const int SiloPort = 11111;

    /// <summary>The sections there are; a setting elsewhere is a slip of the pen.</summary>
    public static readonly string[] Sections =
        ["Ingress", "Queue", "Events", "Delivery", "Dkim", "Srs", "Dns", "Mailbox", "Storage", "MailStore", "Logins", "Console", "ConnectionStrings", "Tls", "Http", "Telemetry", "Logging"];

    public static Dictionary<string, string?> Defaults(string dataFolder, int portOffset)
    {
        string Port(int port) => (port + portOffset).ToString(CultureInfo.InvariantCulture);
        return new Dictionary<string, string?>
        {
            ["ConnectionStrings:maildb"] = DataFolder.ConnectionStringOf(dataFolder),
            ["Tls:SelfSignedDirectory"] = Path.Combine(dataFolder, "tls"),
            ["Dkim:KeyFolder"] = Path.Combine(dataFolder, DkimOptions.FolderName),
            ["Http:Address"] = "127.0.0.1",
            ["Http:Port"] = Port(HttpPort),

            ["Ingress:Listeners:0:Name"] = "mx",
            ["Ingress:Listeners:0:Kind"] = "Mx",
            ["Ingress:Listeners:0:Address"] = "127.0.0.1",
            ["Ingress:Listeners:0:Port"] = Port(MxPort),
            ["Ingress:Listeners:0:Tls"] = "StartTls",
            ["Ingress:Listeners:1:Name"] = "submission",
            ["Ingress:Listeners:1:Kind"] = "Submission",
            ["Ingress:Listeners:1:Address"] = "127.0.0.1",
            ["Ingress:Listeners:1:Port"] = Port(SubmissionPort),
            ["Ingress:Listeners:1:Tls"] = "StartTls",
            ["Mailbox:Listeners:0:Name"] = "pop3",
            ["Mailbox:Listeners:0:Address"] = "127.0.0.1",
            ["Mailbox:Listeners:0:Port"] = Port(Pop3Port),
            ["Mailbox:Listeners:0:Tls"] = "StartTls",
            ["Queue:SiloPort"] = Port(SiloPort),

            ["Logging:LogLevel:Default"] = "Warning",
            ["Logging:LogLevel:MailPipeline"] = "Information",
            // Its warnings are of brokers, of which there is none.
            ["Logging:LogLevel:MassTransit"] = "Error",
            // It warns of the garbage collector that is chosen for a small heap, and of each pause of a busy machine.
            ["Logging:LogLevel:Orleans.Runtime.Silo"] = "Error",
            ["Logging:LogLevel:Orleans.Runtime.Watchdog"] = "Error",
        };
    }
}
