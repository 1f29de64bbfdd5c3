using System.Data.Common;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>The operator can put it right; the message is one line that names the setting and what is allowed.</summary>
public sealed class StartupException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>Turns what can go wrong at start into one line for the operator.</summary>
public static partial class StartupFailure
{
    /// <returns>Null when it is a bug: then the whole exception is wanted.</returns>
    public static string? Explain(Exception failure, IConfiguration configuration) => failure switch
    {
        StartupException or ServerCertificateException => failure.Message,
        OptionsValidationException invalid => string.Join("; ", invalid.Failures.Select(text => Describe(invalid, text, configuration))),
        DbException =>
            $"ConnectionStrings:maildb is '{WithoutSecrets(configuration["ConnectionStrings:maildb"])}', which cannot be used: {failure.Message}",
        ArgumentException { Message: { } text } when text.Contains("ConnectionStrings:", StringComparison.Ordinal) => text,
        IOException { InnerException: AddressInUseException } => PortTaken(failure.Message, configuration),
        SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } => PortTaken(failure.Message, configuration),
        SocketException { SocketErrorCode: SocketError.AccessDenied } =>
            "A port below 1024 needs the right to bind it (CAP_NET_BIND_SERVICE); choose a higher one or see docs/operations.md",
        SocketException { SocketErrorCode: SocketError.AddressNotAvailable } =>
            $"A listener's Address is not an address of this machine: {failure.Message}",
        AggregateException { InnerExceptions: [var only] } => Explain(only, configuration),
        _ => failure.InnerException is { } inner && failure is not ObjectDisposedException ? Explain(inner, configuration) : null,
    };

    // The source-generated validators say "Port: The field HttpOptions.Port must be between 0 and 65535."
    private static string Describe(OptionsValidationException invalid, string text, IConfiguration configuration)
    {
        var generated = GeneratedFailure().Match(text);
        if (!generated.Success)
            return text.TrimEnd('.');
        // Within the class it is "DeliveryOptions.Timeouts.Mail".
        var field = generated.Groups["field"].Value;
        var way = field.Contains('.', StringComparison.Ordinal) ? field[(field.IndexOf('.', StringComparison.Ordinal) + 1)..] : generated.Groups["member"].Value;
        var setting = $"{SectionOf(invalid.OptionsType)}:{way.Replace(".", ":", StringComparison.Ordinal)}";
        return $"{setting} is '{configuration[setting]}'; {generated.Groups["rule"].Value.TrimEnd('.')}";
    }

    // Every options class says where it is written.
    private static string SectionOf(Type options) =>
        (options.GetField("Section") ?? options.GetField("SectionName"))?.GetRawConstantValue() as string
        ?? options.Name.Replace("Options", "", StringComparison.Ordinal);

    private static string PortTaken(string message, IConfiguration configuration)
    {
        var port = PortInMessage().Match(message).Groups["port"].Value;
        var setting = configuration.AsEnumerable()
            .Where(pair => pair.Key.EndsWith("Port", StringComparison.OrdinalIgnoreCase) && pair.Value == port)
            .Select(pair => pair.Key)
            .FirstOrDefault();
        return setting is null
            ? $"A port is in use by another process ({message}); stop it, or choose another port"
            : $"{setting} is {port}, a port in use by another process; choose a free one (0 to 65535)";
    }

    internal static string WithoutSecrets(string? connection)
    {
        try
        {
            var parts = new DbConnectionStringBuilder { ConnectionString = connection ?? "" };
            parts.Remove("Password");
            parts.Remove("Pwd");
            return parts.ConnectionString;
        }
        catch (ArgumentException)
        {
            return "(not a connection string)";
        }
    }

    [GeneratedRegex(@"^(?<member>[\w.\[\]]+): The field (?<field>\S+) (?<rule>.*)\z", RegexOptions.Singleline)]
    private static partial Regex GeneratedFailure();

    [GeneratedRegex(@":(?<port>\d+)(?!.*:\d)")]
    private static partial Regex PortInMessage();
}
